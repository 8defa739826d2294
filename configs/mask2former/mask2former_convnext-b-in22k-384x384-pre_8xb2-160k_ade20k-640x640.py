_base_ = ['./mask2former_convnext-t_8xb2-160k_ade20k-512x512.py']

crop_size = (640, 640)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(arch='base', init_cfg=dict(checkpoint='convnext_base_in22k_in1k_384')),
    decode_head=dict(in_channels=[128, 256, 512, 1024]),
)

# mmseg has these in configs of Swin, whose keys for the optimizer a ConvNeXt has no use for.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmseg.LoadAnnotations', reduce_zero_label=True),
    dict(
        type='RandomChoiceResize',
        scales=list(range(320, 1281, 64)),
        resize_type='mmseg.ResizeShortestEdge',
        max_size=2560,
    ),
    dict(type='mmseg.RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmseg.PhotoMetricDistortion'),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2560, 640), keep_ratio=True),
    # mmseg's inferencers leave it out by this very name; the scope is for configs that inherit this one.
    dict(type='LoadAnnotations', _scope_='mmseg', reduce_zero_label=True),
    dict(type='mmseg.PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
