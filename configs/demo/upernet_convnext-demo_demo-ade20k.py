_base_ = [
    '../_base_/models/upernet_convnext.py',
    '../_base_/datasets/demo_ade20k.py',
    '../_base_/schedules/ade20k_160k_adamw.py',
    'mmseg::_base_/default_runtime.py',
]

channels = 32
backbone_channels = [32, 64, 128, 128]
norm_cfg = dict(type='GN', num_groups=8)
# The official deviation of 0.02 is for wider layers; these narrow linear ones would hardly pass a signal. Convolutions
# keep PyTorch's own: with biases of zero, LayerNorm's gradient is huge where an image is padded or black.
init_cfg = dict(type='Kaiming', layer='Linear', distribution='normal')
crop_size = (128, 128)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        arch=dict(_delete_=True, depths=[1, 1, 3, 1], channels=backbone_channels),
        drop_path_rate=0.0,
        layer_scale_init_value=0.1,
        init_cfg=init_cfg,
    ),
    decode_head=dict(
        in_channels=backbone_channels, channels=channels, num_classes=5, norm_cfg=norm_cfg, dropout_ratio=0.0
    ),
    auxiliary_head=dict(
        in_channels=backbone_channels[2], channels=channels, num_classes=5, norm_cfg=norm_cfg, dropout_ratio=0.0
    ),
)

train_dataloader = dict(batch_size=4)
max_iters = 1700
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', power=1.0, begin=100, end=max_iters, eta_min=0.0, by_epoch=False),
]
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='convnext_dense.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(decay_rate=1.0, decay_type='stage_wise'),
    optimizer=dict(type='AdamW', lr=0.01, betas=(0.9, 0.95), weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
)
default_hooks = dict(checkpoint=dict(interval=max_iters), logger=dict(interval=25))
