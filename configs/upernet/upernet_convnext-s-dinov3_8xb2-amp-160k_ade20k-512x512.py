_base_ = ['./upernet_convnext-s_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(init_cfg=dict(checkpoint='convnext_small_dinov3')))
