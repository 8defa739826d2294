_base_ = ['./mask-rcnn_convnext-b-dinov3_fpn_amp-ms-crop-3x_coco.py']

model = dict(
    backbone=dict(arch='large', drop_path_rate=0.5, init_cfg=dict(checkpoint='convnext_large_dinov3')),
    neck=dict(in_channels=[192, 384, 768, 1536]),
)
