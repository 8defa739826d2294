_base_ = ['mmseg::_base_/datasets/ade20k.py']

data_root = 'data/demo/ade/ADEChallengeData2016'
metainfo = dict(
    classes=('background', 'circle', 'square', 'triangle', 'star'),
    palette=[[64, 64, 64], [220, 20, 60], [0, 130, 200], [60, 180, 75], [255, 165, 0]],
)
# ADE20KDataset allows ADE20K's classes alone.
dataset = dict(type='mmseg.BaseSegDataset', reduce_zero_label=True, data_root=data_root, metainfo=metainfo)
crop_size = (128, 128)
# mmseg's inferencers leave it out by this very name; the scope is for configs that inherit this one from the package.
load_annotations = dict(type='LoadAnnotations', _scope_='mmseg')

train_pipeline = [
    dict(type='LoadImageFromFile'),
    load_annotations,
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
    load_annotations,
    dict(type='mmseg.PackSegInputs'),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(**dataset, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=2,
    dataset=dict(**dataset, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
