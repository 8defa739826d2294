_base_ = ['upernet_roadmap-00-resnet-50_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(depths=[3, 3, 9, 3]))
