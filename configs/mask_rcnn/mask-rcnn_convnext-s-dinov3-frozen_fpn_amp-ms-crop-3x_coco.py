_base_ = ['./mask-rcnn_convnext-s-dinov3_fpn_amp-ms-crop-3x_coco.py']

model = dict(backbone=dict(frozen_stages=4))
