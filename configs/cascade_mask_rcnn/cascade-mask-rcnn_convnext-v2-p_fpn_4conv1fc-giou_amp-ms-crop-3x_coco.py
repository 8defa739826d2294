_base_ = ['./cascade-mask-rcnn_convnext-v2-t_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py']

model = dict(
    backbone=dict(arch='pico', drop_path_rate=0.1, init_cfg=dict(checkpoint='convnextv2_pico_fcmae')),
    neck=dict(in_channels=[64, 128, 256, 512]),
)
