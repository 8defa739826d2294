# The demo model on a dataset of your own in ADE20K's layout; here nuclei in microscope images.
_base_ = ['./upernet_convnext-demo_demo-ade20k.py']

dataset = dict(
    data_root='data/nuclei/ade/ADEChallengeData2016',
    metainfo=dict(classes=('background', 'nucleus'), palette=[[64, 64, 64], [220, 20, 60]]),
)
img_scale = (256, 256)
crop_size = (128, 128)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmseg.LoadAnnotations', reduce_zero_label=True),
    dict(type='Resize', scale=img_scale, keep_ratio=True),
    dict(type='mmseg.RandomCrop', crop_size=crop_size),
    dict(
        type='RandomFlip',
        prob=[0.25, 0.25, 0.25],
        direction=['horizontal', 'vertical', 'diagonal'],
    ),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=img_scale, keep_ratio=True),
    dict(type='mmseg.LoadAnnotations', reduce_zero_label=True),
    dict(type='mmseg.PackSegInputs'),
]
train_dataloader = dict(dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader

model = dict(decode_head=dict(num_classes=2), auxiliary_head=dict(num_classes=2))
