_base_ = [
    '../_base_/models/mask-rcnn_convnext_fpn.py',
    '../_base_/datasets/demo_coco.py',
    '../_base_/schedules/coco_3x_adamw.py',
    'mmdet::_base_/default_runtime.py',
]

# Narrow heads and few proposals: full-size ones take seconds an iteration on two cores.
channels = 64
norm_cfg = dict(type='GN', num_groups=8)
# The official deviation of 0.02 is for wider layers; these narrow linear ones would hardly pass a signal. Convolutions
# keep PyTorch's own: with biases of zero, LayerNorm's gradient is huge where an image is padded or black.
init_cfg = dict(type='Kaiming', layer='Linear', distribution='normal')
model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(
        arch=dict(_delete_=True, depths=[1, 1, 3, 1], channels=[32, 64, 128, 256]),
        drop_path_rate=0.0,
        init_cfg=init_cfg,
    ),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=channels, norm_cfg=norm_cfg),
    rpn_head=dict(in_channels=channels, feat_channels=channels, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels, finest_scale=32, roi_layer=dict(sampling_ratio=1)),
        bbox_head=dict(in_channels=channels, fc_out_channels=256, num_classes=4),
        mask_roi_extractor=dict(out_channels=channels, finest_scale=32, roi_layer=dict(sampling_ratio=1)),
        mask_head=dict(num_convs=2, in_channels=channels, conv_out_channels=channels, num_classes=4),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=200, max_per_img=100),
        rcnn=dict(sampler=dict(num=32)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=100), rcnn=dict(max_per_img=30)),
)

max_epochs = 3
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=max_epochs, convert_to_iter_based=True),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(lr=0.002),
    paramwise_cfg=dict(num_layers=6),
    clip_grad=dict(max_norm=5.0),
)
default_hooks = dict(checkpoint=dict(interval=max_epochs), logger=dict(interval=25))
