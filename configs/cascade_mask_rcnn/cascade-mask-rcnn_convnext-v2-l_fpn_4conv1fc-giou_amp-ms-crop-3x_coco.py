_base_ = ['./cascade-mask-rcnn_convnext-v2-b_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py']

model = dict(
    backbone=dict(arch='large', init_cfg=dict(checkpoint='convnextv2_large_fcmae')),
    neck=dict(in_channels=[192, 384, 768, 1536]),
)

optim_wrapper = dict(paramwise_cfg=dict(decay_rate=0.7), optimizer=dict(lr=0.0001))
