_base_ = ['./mask-rcnn_convnext-v2-l_fpn_lsj-3x-fcmae_coco.py']

model = dict(
    backbone=dict(arch='huge', init_cfg=dict(checkpoint='convnextv2_huge_fcmae')),
    neck=dict(in_channels=[352, 704, 1408, 2816]),
)
