_base_ = [
    '../_base_/models/cascade-mask-rcnn_convnext_fpn.py',
    '../_base_/datasets/coco_instance_ms-crop.py',
    '../_base_/schedules/coco_3x_adamw.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='convnext_tiny_in1k_noema')))

optim_wrapper = dict(paramwise_cfg=dict(decay_rate=0.7), optimizer=dict(lr=0.0002))
