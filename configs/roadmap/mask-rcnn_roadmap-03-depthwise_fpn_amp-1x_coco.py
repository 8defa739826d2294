_base_ = ['mask-rcnn_roadmap-02-patchify-stem_fpn_amp-1x_coco.py']

model = dict(backbone=dict(depthwise=True))
