_base_ = ['upernet_roadmap-02-patchify-stem_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(depthwise=True))
