_base_ = ['mask-rcnn_roadmap-00-resnet-50_fpn_amp-1x_coco.py']

model = dict(backbone=dict(depths=[3, 3, 9, 3]))
