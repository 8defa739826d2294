_base_ = ['upernet_roadmap-09-fewer-activations_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(fewer_norms=True))
