_base_ = ['./mask2former_convnext-t_8xb2-lsj-50e_coco.py']

model = dict(
    backbone=dict(arch='base', init_cfg=dict(checkpoint='convnext_base_in22k_in1k_384')),
    panoptic_head=dict(in_channels=[128, 256, 512, 1024]),
)
