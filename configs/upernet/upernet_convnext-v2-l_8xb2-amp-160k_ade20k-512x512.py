_base_ = ['./upernet_convnext-v2-b_8xb2-amp-160k_ade20k-512x512.py']

model = dict(
    backbone=dict(arch='large', init_cfg=dict(checkpoint='convnextv2_large_fcmae')),
    decode_head=dict(in_channels=[192, 384, 768, 1536]),
    auxiliary_head=dict(in_channels=768),
)
