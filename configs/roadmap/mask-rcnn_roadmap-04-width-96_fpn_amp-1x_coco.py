_base_ = ['mask-rcnn_roadmap-03-depthwise_fpn_amp-1x_coco.py']

model = dict(
    backbone=dict(width=96),
    neck=dict(in_channels=[384, 768, 1536, 3072]),
)
