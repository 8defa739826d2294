_base_ = ['upernet_roadmap-03-depthwise_8xb2-amp-160k_ade20k-512x512.py']

model = dict(
    backbone=dict(width=96),
    decode_head=dict(in_channels=[384, 768, 1536, 3072]),
    auxiliary_head=dict(in_channels=1536),
)
