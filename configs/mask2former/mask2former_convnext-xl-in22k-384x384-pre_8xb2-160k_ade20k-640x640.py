_base_ = ['./mask2former_convnext-b-in22k-384x384-pre_8xb2-160k_ade20k-640x640.py']

model = dict(
    backbone=dict(arch='xlarge', init_cfg=dict(checkpoint='convnext_xlarge_in22k_in1k_384')),
    decode_head=dict(in_channels=[256, 512, 1024, 2048]),
)
