_base_ = ['./upernet_convnext-v2-b-in22k_8xb2-amp-160k_ade20k-640x640.py']

model = dict(
    backbone=dict(arch='large', init_cfg=dict(checkpoint='convnextv2_large_fcmae_in22k_in1k_384')),
    decode_head=dict(in_channels=[192, 384, 768, 1536]),
    auxiliary_head=dict(in_channels=768),
)
