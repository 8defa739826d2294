_base_ = ['./mask2former_convnext-t_8xb2-lsj-50e_coco-panoptic.py']

model = dict(
    backbone=dict(arch='large', init_cfg=dict(checkpoint='convnext_large_in22k_in1k_384')),
    panoptic_head=dict(num_queries=200, in_channels=[192, 384, 768, 1536]),
)

max_iters = 737500
train_cfg = dict(max_iters=max_iters, dynamic_intervals=[(735001, max_iters)])
param_scheduler = dict(end=max_iters, milestones=[655556, 710184])
