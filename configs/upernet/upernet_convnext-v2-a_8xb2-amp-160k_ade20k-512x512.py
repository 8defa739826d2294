_base_ = ['./upernet_convnext-v2-t_8xb2-amp-160k_ade20k-512x512.py']

model = dict(
    backbone=dict(arch='atto', drop_path_rate=0.1, init_cfg=dict(checkpoint='convnextv2_atto_fcmae')),
    decode_head=dict(in_channels=[40, 80, 160, 320]),
    auxiliary_head=dict(in_channels=160),
)
