_base_ = ['mask-rcnn_roadmap-07-kernel-7_fpn_amp-1x_coco.py']

model = dict(backbone=dict(act_cfg=dict(type='GELU')))
