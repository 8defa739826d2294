_base_ = [
    '../_base_/models/upernet_convnext.py',
    'mmseg::_base_/datasets/ade20k.py',
    '../_base_/schedules/ade20k_160k_adamw.py',
    'mmseg::_base_/default_runtime.py',
]

# The official ImageNet-1k weights.
checkpoint_file = 'https://dl.fbaipublicfiles.com/convnext/convnext_tiny_1k_224_ema.pth'
crop_size = (512, 512)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint_file)),
    test_cfg=dict(mode='slide', crop_size=crop_size, stride=(341, 341)),
)

train_dataloader = dict(batch_size=2)
