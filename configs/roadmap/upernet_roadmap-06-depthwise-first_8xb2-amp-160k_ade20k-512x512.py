_base_ = ['upernet_roadmap-05-inverted-bottleneck_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(depthwise_first=True))
