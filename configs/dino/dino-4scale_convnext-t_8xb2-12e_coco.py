_base_ = ['../_base_/backbones/convnext-t.py', 'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py']

custom_imports = dict(imports=['convnext_dense'], allow_failed_imports=False)

# The optimizer is the base's: one rate for the whole backbone, a tenth of the heads'. So detrex has trained its
# published DINO with ConvNeXt, and mmdet its own with Swin; none with layer-wise decay is published. In these 12 epochs
# detrex drops no path.
model = dict(
    backbone=dict(
        _base_.pop('convnext_t'),
        out_indices=[1, 2, 3],
        init_cfg=dict(type='Pretrained', checkpoint='convnext_tiny_in1k'),
    ),
    neck=dict(in_channels=[192, 384, 768]),
)
