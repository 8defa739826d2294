_base_ = ['./mask-rcnn_convnext-v2-b_fpn_lsj-3x-fcmae_coco.py']

model = dict(
    backbone=dict(arch='large', drop_path_rate=0.5, init_cfg=dict(checkpoint='convnextv2_large_fcmae')),
    neck=dict(in_channels=[192, 384, 768, 1536]),
)
