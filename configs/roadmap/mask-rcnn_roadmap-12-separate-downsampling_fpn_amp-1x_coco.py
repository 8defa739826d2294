_base_ = ['mask-rcnn_roadmap-11-layer-norm_fpn_amp-1x_coco.py']

model = dict(backbone=dict(separate_downsampling=True))
