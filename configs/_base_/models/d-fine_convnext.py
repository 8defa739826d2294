custom_imports = dict(imports=['convnext_dense'], allow_failed_imports=False)

# The neck and the head of D-FINE-L.
model = dict(
    type='convnext_dense.RealTimeDETR',
    data_preprocessor=dict(
        type='mmdet.DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        batch_augments=[dict(type='convnext_dense.BatchRandomResize', random_size_range=(480, 800))],
    ),
    backbone=dict(
        type='convnext_dense.ConvNeXt',
        arch='tiny',
        layer_scale_init_value=1.0,
        out_indices=[1, 2, 3],
        init_cfg=dict(type='Pretrained', checkpoint='convnext_tiny_dinov3'),
    ),
    neck=dict(type='convnext_dense.HybridEncoder', in_channels=[192, 384, 768], blocks='elan'),
    bbox_head=dict(type='convnext_dense.DFINEHead', num_classes=80, num_points=[3, 6, 3]),
    test_cfg=dict(max_per_img=300),
)
