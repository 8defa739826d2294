_base_ = ['./cascade-mask-rcnn_convnext-l-in22k_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py']

model = dict(
    backbone=dict(arch='xlarge', drop_path_rate=0.8, init_cfg=dict(checkpoint='convnext_xlarge_in22k')),
    neck=dict(in_channels=[256, 512, 1024, 2048]),
)
