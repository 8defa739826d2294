_base_ = ['mask-rcnn_roadmap-06-depthwise-first_fpn_amp-1x_coco.py']

model = dict(backbone=dict(kernel_size=7))
