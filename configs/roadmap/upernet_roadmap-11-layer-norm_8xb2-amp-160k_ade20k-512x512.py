_base_ = ['upernet_roadmap-10-fewer-norms_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(norm_cfg=dict(type='LN2d', eps=1e-6)))
