_base_ = ['./mask2former_convnext-t_8xb2-90k_cityscapes-512x1024.py']

model = dict(
    backbone=dict(arch='large', init_cfg=dict(checkpoint='convnext_large_in22k_in1k_384')),
    decode_head=dict(in_channels=[192, 384, 768, 1536]),
)
