_base_ = ['./cascade-mask-rcnn_convnext-t_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py']

model = dict(backbone=dict(arch='small', drop_path_rate=0.6, init_cfg=dict(checkpoint='convnext_small_in1k_noema')))

optim_wrapper = dict(paramwise_cfg=dict(num_layers=12))
