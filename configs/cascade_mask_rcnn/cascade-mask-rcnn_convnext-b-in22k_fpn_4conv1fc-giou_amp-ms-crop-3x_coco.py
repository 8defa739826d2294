_base_ = ['./cascade-mask-rcnn_convnext-b_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py']

model = dict(backbone=dict(drop_path_rate=0.6, init_cfg=dict(checkpoint='convnext_base_in22k')))

optim_wrapper = dict(optimizer=dict(lr=0.0001))
