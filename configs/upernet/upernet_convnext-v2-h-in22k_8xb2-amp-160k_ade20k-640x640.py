_base_ = ['./upernet_convnext-v2-b-in22k_8xb2-amp-160k_ade20k-640x640.py']

model = dict(
    backbone=dict(arch='huge', init_cfg=dict(checkpoint='convnextv2_huge_fcmae_in22k_in1k_384')),
    decode_head=dict(in_channels=[352, 704, 1408, 2816]),
    auxiliary_head=dict(in_channels=1408),
)
