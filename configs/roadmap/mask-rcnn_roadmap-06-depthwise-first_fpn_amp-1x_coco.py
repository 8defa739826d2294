_base_ = ['mask-rcnn_roadmap-05-inverted-bottleneck_fpn_amp-1x_coco.py']

model = dict(backbone=dict(depthwise_first=True))
