_base_ = ['mask-rcnn_roadmap-08-gelu_fpn_amp-1x_coco.py']

model = dict(backbone=dict(fewer_activations=True))
