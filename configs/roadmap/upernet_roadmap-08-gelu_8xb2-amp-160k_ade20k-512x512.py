_base_ = ['upernet_roadmap-07-kernel-7_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(act_cfg=dict(type='GELU')))
