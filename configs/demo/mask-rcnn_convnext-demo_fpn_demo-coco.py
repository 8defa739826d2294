_base_ = [
    '../_base_/models/mask-rcnn_convnext_fpn.py',
    '../_base_/datasets/demo_coco.py',
    '../_base_/schedules/coco_3x_adamw.py',
    'mmdet::_base_/default_runtime.py',
]

# Narrow heads and few proposals: full-size ones take seconds an iteration on two cores.
channels = 48
backbone_channels = [32, 64, 128, 128]
# No fifth level: the largest shapes are 64 pixels wide.
strides = [4, 8, 16, 32]
norm_cfg = dict(type='GN', num_groups=8)
roi_extractor = dict(out_channels=channels, featmap_strides=[4], roi_layer=dict(sampling_ratio=1))
# The official deviation of 0.02 is for wider layers; these narrow linear ones would hardly pass a signal. Convolutions
# keep PyTorch's own: with biases of zero, LayerNorm's gradient is huge where an image is padded or black.
init_cfg = dict(type='Kaiming', layer='Linear', distribution='normal')
model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(
        arch=dict(_delete_=True, depths=[1, 1, 3, 1], channels=backbone_channels),
        drop_path_rate=0.0,
        layer_scale_init_value=0.1,
        init_cfg=init_cfg,
    ),
    neck=dict(in_channels=backbone_channels, out_channels=channels, num_outs=4, norm_cfg=norm_cfg),
    rpn_head=dict(in_channels=channels, feat_channels=channels, anchor_generator=dict(scales=[4], strides=strides)),
    roi_head=dict(
        bbox_roi_extractor=roi_extractor,
        # One box regression for all classes learns from all shapes.
        bbox_head=dict(in_channels=channels, fc_out_channels=256, num_classes=4, reg_class_agnostic=True),
        mask_roi_extractor=roi_extractor,
        # Masks of 14x14, not 28x28: most shapes are some 20 pixels wide.
        mask_head=dict(
            num_convs=2,
            in_channels=channels,
            conv_out_channels=32,
            norm_cfg=norm_cfg,
            upsample_cfg=dict(type=None),
            num_classes=4,
        ),
    ),
    train_cfg=dict(
        # Few anchors overlap a small shape by 0.7, and among 256 samples hardly any would be positive.
        rpn=dict(assigner=dict(pos_iou_thr=0.5), sampler=dict(num=64)),
        rpn_proposal=dict(nms_pre=100, max_per_img=50),
        rcnn=dict(sampler=dict(num=24), mask_size=14),
    ),
    test_cfg=dict(rpn=dict(nms_pre=100, max_per_img=50), rcnn=dict(max_per_img=30)),
)

train_dataloader = dict(batch_size=4)
max_epochs = 2
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=max_epochs, convert_to_iter_based=True),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(lr=0.002, betas=(0.9, 0.95), weight_decay=0.01),
    paramwise_cfg=dict(decay_rate=1.0, num_layers=6),
    clip_grad=dict(max_norm=5.0),
)
default_hooks = dict(checkpoint=dict(interval=max_epochs), logger=dict(interval=25))
