_base_ = ['mask-rcnn_roadmap-09-fewer-activations_fpn_amp-1x_coco.py']

model = dict(backbone=dict(fewer_norms=True))
