_base_ = ['./d-fine_convnext-t-dinov3_8xb4-80e_coco.py']

model = dict(backbone=dict(arch='small', init_cfg=dict(checkpoint='convnext_small_dinov3')))
