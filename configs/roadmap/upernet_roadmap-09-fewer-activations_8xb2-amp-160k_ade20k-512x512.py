_base_ = ['upernet_roadmap-08-gelu_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(fewer_activations=True))
