_base_ = ['./dino-4scale_convnext-t_8xb2-12e_coco.py']

model = dict(backbone=dict(arch='small', init_cfg=dict(checkpoint='convnext_small_in22k_in1k_384')))
