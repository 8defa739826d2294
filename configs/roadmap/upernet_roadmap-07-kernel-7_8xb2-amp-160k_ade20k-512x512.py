_base_ = ['upernet_roadmap-06-depthwise-first_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(kernel_size=7))
