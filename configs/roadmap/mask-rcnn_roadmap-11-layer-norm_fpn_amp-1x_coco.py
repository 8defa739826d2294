_base_ = ['mask-rcnn_roadmap-10-fewer-norms_fpn_amp-1x_coco.py']

model = dict(backbone=dict(norm_cfg=dict(type='LN2d', eps=1e-6)))
