_base_ = ['./upernet_convnext-v2-l_8xb2-amp-160k_ade20k-512x512.py']

model = dict(
    backbone=dict(arch='huge', init_cfg=dict(checkpoint='convnextv2_huge_fcmae')),
    decode_head=dict(in_channels=[352, 704, 1408, 2816]),
    auxiliary_head=dict(in_channels=1408),
)

optim_wrapper = dict(optimizer=dict(lr=0.00008))
