_base_ = ['./cascade-mask-rcnn_convnext-t-dinov3_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py']

model = dict(backbone=dict(frozen_stages=4))
