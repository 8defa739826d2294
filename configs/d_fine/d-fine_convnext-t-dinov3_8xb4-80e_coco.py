_base_ = [
    '../_base_/models/d-fine_convnext.py',
    '../_base_/datasets/coco_detection_iou-crop.py',
    '../_base_/schedules/coco_80e_flat-cosine_adamw.py',
    'mmdet::_base_/default_runtime.py',
]

switch_epoch = _base_.max_epochs - _base_.num_plain_epochs
custom_hooks = [
    dict(type='EMAHook', ema_type='mmdet.ExpMomentumEMA', momentum=0.0001, gamma=1000, update_buffers=True),
    dict(type='mmdet.PipelineSwitchHook', switch_epoch=switch_epoch, switch_pipeline=_base_.plain_pipeline),
    dict(type='convnext_dense.BatchAugmentsSwitchHook', switch_epoch=switch_epoch),
]
default_hooks = dict(checkpoint=dict(interval=4, max_keep_ckpts=3))
