_base_ = ['./d-fine_convnext-t-dinov3_8xb4-80e_coco.py']

model = dict(
    backbone=dict(arch='base', init_cfg=dict(checkpoint='convnext_base_dinov3')),
    neck=dict(in_channels=[256, 512, 1024]),
)
