_base_ = ['./mask2former_convnext-t_8xb2-90k_cityscapes-512x1024.py']

model = dict(backbone=dict(arch='small', init_cfg=dict(checkpoint='convnext_small_in1k')))
