_base_ = ['./upernet_convnext-v2-t_8xb2-amp-160k_ade20k-512x512.py']

model = dict(
    backbone=dict(arch='femto', drop_path_rate=0.1, init_cfg=dict(checkpoint='convnextv2_femto_fcmae')),
    decode_head=dict(in_channels=[48, 96, 192, 384]),
    auxiliary_head=dict(in_channels=192),
)
