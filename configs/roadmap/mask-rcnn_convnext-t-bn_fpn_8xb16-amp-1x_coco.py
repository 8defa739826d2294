_base_ = ['mask-rcnn_convnext-t-ln_fpn_8xb16-amp-1x_coco.py']

model = dict(backbone=dict(norm_cfg=dict(type='BN')))
