_base_ = ['./upernet_convnext-s_8xb2-amp-160k_ade20k-512x512.py']

model = dict(
    backbone=dict(arch='base', drop_path_rate=0.4, init_cfg=dict(checkpoint='convnext_base_in1k_noema')),
    decode_head=dict(in_channels=[128, 256, 512, 1024]),
    auxiliary_head=dict(in_channels=512),
)
