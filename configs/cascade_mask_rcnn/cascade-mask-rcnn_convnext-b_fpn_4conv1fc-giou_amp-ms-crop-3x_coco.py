_base_ = ['./cascade-mask-rcnn_convnext-s_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py']

model = dict(
    backbone=dict(arch='base', drop_path_rate=0.7, init_cfg=dict(checkpoint='convnext_base_in1k_noema')),
    neck=dict(in_channels=[128, 256, 512, 1024]),
)

optim_wrapper = dict(paramwise_cfg=dict(decay_rate=0.8))
