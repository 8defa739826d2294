_base_ = ['./mask-rcnn_convnext-t_fpn_amp-1x_coco.py']

model = dict(backbone=dict(arch='small', drop_path_rate=0.3, init_cfg=dict(checkpoint='convnext_small_in1k_noema')))

optim_wrapper = dict(paramwise_cfg=dict(num_layers=12))
