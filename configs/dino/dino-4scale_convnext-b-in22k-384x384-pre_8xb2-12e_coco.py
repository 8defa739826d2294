_base_ = ['./dino-4scale_convnext-t_8xb2-12e_coco.py']

model = dict(
    backbone=dict(arch='base', init_cfg=dict(checkpoint='convnext_base_in22k_in1k_384')),
    neck=dict(in_channels=[256, 512, 1024]),
)
