_base_ = ['upernet_roadmap-11-layer-norm_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(separate_downsampling=True))
