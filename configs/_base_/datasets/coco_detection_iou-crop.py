_base_ = ['mmdet::_base_/datasets/coco_detection.py']

# RT-DETR's augmentation, which is SSD's: colors, zooming out, and a crop that overlaps an object by some IoU.
load = [
    dict(type='LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='mmdet.LoadAnnotations', with_bbox=True),
]
colors = dict(type='RandomApply', transforms=[dict(type='mmdet.PhotoMetricDistortion')], prob=0.5)
zoom_and_crop = [
    dict(type='mmdet.Expand', mean=[0, 0, 0]),
    dict(type='RandomApply', transforms=[dict(type='mmdet.MinIoURandomCrop')], prob=0.8),
]
# All images have one size, so a batch has no padding. A crop may leave slivers of objects.
filter_slivers = dict(type='mmdet.FilterAnnotations', min_gt_bbox_wh=(1, 1), keep_empty=False)
flip_and_resize = [
    filter_slivers,
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='mmdet.Resize', scale=(640, 640), keep_ratio=False),
    filter_slivers,
]
pack = dict(type='mmdet.PackDetInputs')
train_pipeline = [*load, colors, *zoom_and_crop, *flip_and_resize, pack]
# For the last epochs.
plain_pipeline = [*load, *flip_and_resize, pack]
test_pipeline = [
    dict(type='LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='mmdet.Resize', scale=(640, 640), keep_ratio=False),
    dict(type='mmdet.LoadAnnotations', with_bbox=True),
    dict(
        type='mmdet.PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    batch_sampler=None,
    # Images without objects are trained on, too.
    dataset=dict(filter_cfg=dict(_delete_=True, filter_empty_gt=False), pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=8, num_workers=4, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
