_base_ = ['./cascade-mask-rcnn_convnext-b-in22k_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py']

model = dict(
    backbone=dict(arch='large', drop_path_rate=0.7, init_cfg=dict(checkpoint='convnext_large_in22k')),
    neck=dict(in_channels=[192, 384, 768, 1536]),
)

optim_wrapper = dict(paramwise_cfg=dict(decay_rate=0.7))
