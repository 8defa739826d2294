# A real-time DETR on the generated shapes, at their own size. For photos of your own, take a larger scale.
_base_ = ['./faster-rcnn_convnext-demo_fpn_demo-coco.py']

resize = dict(type='mmdet.Resize', scale=(128, 128), keep_ratio=True)
train_pipeline = [resize if step.type == 'mmdet.Resize' else step for step in _base_.train_pipeline]
test_pipeline = [resize if step.type == 'mmdet.Resize' else step for step in _base_.test_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

channels = 64
backbone_channels = [32, 64, 128, 128]
model = dict(
    _delete_=True,
    type='convnext_dense.RealTimeDETR',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=dict(
        type='convnext_dense.ConvNeXt',
        arch=dict(depths=[1, 1, 3, 1], channels=backbone_channels),
        out_indices=[1, 2, 3],
        drop_path_rate=0.0,
        layer_scale_init_value=0.1,
        init_cfg=dict(type='Kaiming', layer='Linear', distribution='normal'),
    ),
    neck=dict(
        type='convnext_dense.HybridEncoder',
        in_channels=backbone_channels[1:],
        out_channels=channels,
        num_heads=4,
        feedforward_channels=128,
        blocks='elan',
        num_blocks=1,
    ),
    bbox_head=dict(
        type='convnext_dense.DFINEHead',
        num_classes=4,
        in_channels=[channels] * 3,
        dims=channels,
        num_queries=100,
        num_layers=2,
        num_heads=4,
        num_points=[3, 4, 3],
        feedforward_channels=128,
        num_denoising=50,
    ),
    test_cfg=dict(max_per_img=100),
)

max_epochs = 9
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
# Flat, and a cosine in the last third.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        begin=2 * max_epochs // 3,
        end=max_epochs,
        T_max=max_epochs // 3,
        eta_min_ratio=0.01,
        convert_to_iter_based=True,
    ),
]
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.001, betas=(0.9, 0.999), weight_decay=0.0001),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=0.5),
)
custom_hooks = [
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.002, gamma=200, update_buffers=True),
]
default_hooks = dict(checkpoint=dict(interval=max_epochs))
