_base_ = ['./d-fine_convnext-b-dinov3_8xb4-80e_coco.py']

model = dict(backbone=dict(init_cfg=dict(checkpoint='convnext_base_in22k')))
