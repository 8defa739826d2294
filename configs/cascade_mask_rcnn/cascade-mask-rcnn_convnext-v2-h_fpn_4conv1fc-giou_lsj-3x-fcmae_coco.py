_base_ = ['./cascade-mask-rcnn_convnext-v2-l_fpn_4conv1fc-giou_lsj-3x-fcmae_coco.py']

model = dict(
    backbone=dict(arch='huge', init_cfg=dict(checkpoint='convnextv2_huge_fcmae')),
    neck=dict(in_channels=[352, 704, 1408, 2816]),
)
