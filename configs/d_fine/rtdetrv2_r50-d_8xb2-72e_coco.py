_base_ = ['./d-fine_r50-d_8xb4-80e_coco.py']

# RT-DETRv2-L, which takes pixels from 0 to 1. Its published weights load into this config.
model = dict(
    data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255]),
    neck=dict(blocks='csp'),
    bbox_head=dict(_delete_=True, type='convnext_dense.RTDETRv2Head', num_classes=80),
)

# Its rate is flat to the end; 71 epochs have augmentation, and one has none.
max_epochs = 72
train_cfg = dict(max_epochs=max_epochs, dynamic_intervals=[(71, 1)])
param_scheduler = [dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=2000)]
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))), optimizer=dict(lr=0.0001, weight_decay=0.0001)
)
custom_hooks = [
    dict(type='EMAHook', ema_type='mmdet.ExpMomentumEMA', momentum=0.0001, gamma=2000, update_buffers=True),
    dict(type='mmdet.PipelineSwitchHook', switch_epoch=71, switch_pipeline=_base_.plain_pipeline),
    dict(type='convnext_dense.BatchAugmentsSwitchHook', switch_epoch=71),
]

train_dataloader = dict(batch_size=2)
auto_scale_lr = dict(base_batch_size=16)
