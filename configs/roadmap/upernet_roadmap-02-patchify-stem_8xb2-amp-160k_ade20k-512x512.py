_base_ = ['upernet_roadmap-01-stage-ratio_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(patchify_stem=True))
