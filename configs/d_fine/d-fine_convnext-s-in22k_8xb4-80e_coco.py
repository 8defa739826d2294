_base_ = ['./d-fine_convnext-s-dinov3_8xb4-80e_coco.py']

model = dict(backbone=dict(init_cfg=dict(checkpoint='convnext_small_in22k')))
