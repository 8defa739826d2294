_base_ = ['./upernet_convnext-t-dinov3_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(frozen_stages=4))
