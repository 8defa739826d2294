_base_ = ['mask-rcnn_roadmap-04-width-96_fpn_amp-1x_coco.py']

model = dict(
    backbone=dict(inverted_bottleneck=True),
    neck=dict(in_channels=[96, 192, 384, 768]),
)
