_base_ = ['./mask-rcnn_convnext-v2-t_fpn_amp-ms-crop-3x_coco.py']

model = dict(
    backbone=dict(arch='atto', drop_path_rate=0.1, init_cfg=dict(checkpoint='convnextv2_atto_fcmae')),
    neck=dict(in_channels=[40, 80, 160, 320]),
)
