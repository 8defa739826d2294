_base_ = ['./upernet_convnext-l-in22k_8xb2-amp-160k_ade20k-640x640.py']

model = dict(
    backbone=dict(arch='xlarge', init_cfg=dict(checkpoint='convnext_xlarge_in22k')),
    decode_head=dict(in_channels=[256, 512, 1024, 2048]),
    auxiliary_head=dict(in_channels=1024),
)

optim_wrapper = dict(optimizer=dict(lr=0.00008))
