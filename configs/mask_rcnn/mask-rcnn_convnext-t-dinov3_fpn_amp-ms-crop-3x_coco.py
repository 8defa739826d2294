_base_ = ['./mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py']

model = dict(backbone=dict(init_cfg=dict(checkpoint='convnext_tiny_dinov3')))
