_base_ = ['./d-fine_convnext-t-dinov3_8xb4-80e_coco.py']

# The neck, the head's distances and the backbone's rate are D-FINE-X's.
model = dict(
    backbone=dict(arch='large', init_cfg=dict(checkpoint='convnext_large_dinov3')),
    neck=dict(in_channels=[384, 768, 1536], out_channels=384, feedforward_channels=2048),
    bbox_head=dict(in_channels=[384, 384, 384], reg_scale=8.0),
)

optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.01))))
