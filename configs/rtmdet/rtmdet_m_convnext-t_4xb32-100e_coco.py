_base_ = ['./rtmdet_l_convnext-b_4xb32-100e_coco.py']

# RTMDet-M's neck and head: its own backbone has just ConvNeXt-T's widths.
model = dict(
    backbone=dict(arch='tiny', drop_path_rate=0.4, init_cfg=dict(checkpoint='convnext_tiny_in1k')),
    neck=dict(in_channels=[192, 384, 768], out_channels=192, num_csp_blocks=2),
    bbox_head=dict(in_channels=192, feat_channels=192),
)

optim_wrapper = dict(paramwise_cfg=dict(num_layers=6))
