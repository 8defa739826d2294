_base_ = ['./upernet_convnext-v2-t_8xb2-amp-160k_ade20k-512x512.py']

model = dict(
    backbone=dict(arch='base', init_cfg=dict(checkpoint='convnextv2_base_fcmae')),
    decode_head=dict(in_channels=[128, 256, 512, 1024]),
    auxiliary_head=dict(in_channels=512),
)

optim_wrapper = dict(paramwise_cfg=dict(num_layers=12))
