_base_ = [
    '../_base_/models/mask-rcnn_convnext_fpn.py',
    'mmdet::_base_/datasets/coco_instance.py',
    '../_base_/schedules/coco_1x_adamw.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(backbone=dict(drop_path_rate=0.2, init_cfg=dict(type='Pretrained', checkpoint='convnext_tiny_in1k_noema')))
