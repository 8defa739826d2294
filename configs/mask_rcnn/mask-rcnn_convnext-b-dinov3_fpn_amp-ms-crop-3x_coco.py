_base_ = ['./mask-rcnn_convnext-s-dinov3_fpn_amp-ms-crop-3x_coco.py']

model = dict(
    backbone=dict(arch='base', init_cfg=dict(checkpoint='convnext_base_dinov3')),
    neck=dict(in_channels=[128, 256, 512, 1024]),
)
