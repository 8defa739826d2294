_base_ = ['upernet_roadmap-04-width-96_8xb2-amp-160k_ade20k-512x512.py']

model = dict(
    backbone=dict(inverted_bottleneck=True),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384),
)
