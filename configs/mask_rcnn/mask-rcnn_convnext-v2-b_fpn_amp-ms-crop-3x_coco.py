_base_ = ['./mask-rcnn_convnext-v2-t_fpn_amp-ms-crop-3x_coco.py']

model = dict(
    backbone=dict(arch='base', init_cfg=dict(checkpoint='convnextv2_base_fcmae')),
    neck=dict(in_channels=[128, 256, 512, 1024]),
)

optim_wrapper = dict(paramwise_cfg=dict(num_layers=12))
