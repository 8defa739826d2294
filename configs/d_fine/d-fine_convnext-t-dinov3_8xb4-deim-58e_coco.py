_base_ = ['./d-fine_convnext-t-dinov3_8xb4-80e_coco.py']

# DEIM: more objects an image by mosaic and mixup, so more of the matching one to one, and the loss made for it.
model = dict(bbox_head=dict(classification='mal'))

dense_pipeline = [
    *_base_.load,
    dict(
        type='RandomChoice',
        transforms=[
            [
                dict(type='mmdet.CachedMosaic', img_scale=(320, 320), center_ratio_range=(1.0, 1.0), pad_val=0),
                dict(
                    type='mmdet.RandomAffine',
                    max_rotate_degree=10.0,
                    max_shear_degree=0.0,
                    border_val=(0, 0, 0),
                ),
            ],
            _base_.zoom_and_crop,
        ],
        prob=[0.5, 0.5],
    ),
    *_base_.flip_and_resize,
    dict(type='mmdet.CachedMixUp', ratio_range=(1.0, 1.0), pad_val=0, prob=0.5),
    # Behind mixup, which has room for values from 0 to 255 alone.
    _base_.colors,
    _base_.pack,
]

# Four epochs without augmentation, 25 of dense images, 21 with the base's augmentation, and eight without.
max_epochs = 58
train_cfg = dict(max_epochs=max_epochs, dynamic_intervals=[(50, 1)])
train_dataloader = dict(dataset=dict(pipeline=_base_.plain_pipeline))
custom_hooks = [
    _base_.custom_hooks[0],
    dict(type='mmdet.PipelineSwitchHook', switch_epoch=4, switch_pipeline=dense_pipeline),
    dict(type='mmdet.PipelineSwitchHook', switch_epoch=29, switch_pipeline=_base_.train_pipeline),
    dict(type='mmdet.PipelineSwitchHook', switch_epoch=50, switch_pipeline=_base_.plain_pipeline),
    dict(type='convnext_dense.BatchAugmentsSwitchHook', switch_epoch=50),
]

# Twice the rates, flat to the end of the dense images.
optim_wrapper = dict(optimizer=dict(lr=0.0005))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=2000),
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        begin=29,
        end=50,
        T_max=21,
        eta_min_ratio=0.5,
        convert_to_iter_based=True,
    ),
]
