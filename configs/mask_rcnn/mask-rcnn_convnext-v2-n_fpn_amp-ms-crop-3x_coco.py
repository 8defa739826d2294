_base_ = ['./mask-rcnn_convnext-v2-t_fpn_amp-ms-crop-3x_coco.py']

model = dict(
    backbone=dict(arch='nano', drop_path_rate=0.2, init_cfg=dict(checkpoint='convnextv2_nano_fcmae')),
    neck=dict(in_channels=[80, 160, 320, 640]),
)
