_base_ = ['./mask-rcnn_convnext-v2-b_fpn_amp-ms-crop-3x_coco.py']

model = dict(test_cfg=dict(rcnn=dict(nms=dict(type='soft_nms'))))

# Large-scale jittering: a resize by 0.1 to 2, then a crop.
image_size = (1024, 1024)
train_pipeline = [
    dict(type='LoadImageFromFile', backend_args={{_base_.backend_args}}),
    dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomResize', scale=image_size, ratio_range=(0.1, 2.0), keep_ratio=True, resize_type='mmdet.Resize'),
    dict(
        type='mmdet.RandomCrop',
        crop_type='absolute_range',
        crop_size=image_size,
        recompute_bbox=True,
        allow_negative_crop=True,
    ),
    dict(type='mmdet.FilterAnnotations', min_gt_bbox_wh=(1e-2, 1e-2)),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='mmdet.PackDetInputs'),
]
train_dataloader = dict(batch_size=4, num_workers=8, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=32)
