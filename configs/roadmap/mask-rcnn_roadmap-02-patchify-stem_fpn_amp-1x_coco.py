_base_ = ['mask-rcnn_roadmap-01-stage-ratio_fpn_amp-1x_coco.py']

model = dict(backbone=dict(patchify_stem=True))
