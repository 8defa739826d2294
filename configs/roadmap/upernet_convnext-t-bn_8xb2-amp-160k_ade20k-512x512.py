_base_ = ['upernet_convnext-t-ln_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(norm_cfg=dict(type='BN')))
