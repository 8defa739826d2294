_base_ = [
    '../_base_/models/upernet_convnext.py',
    'mmseg::_base_/datasets/ade20k_640x640.py',
    '../_base_/schedules/ade20k_160k_adamw.py',
    'mmseg::_base_/default_runtime.py',
]

crop_size = (640, 640)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(arch='base', init_cfg=dict(type='Pretrained', checkpoint='convnext_base_in22k')),
    decode_head=dict(in_channels=[128, 256, 512, 1024]),
    auxiliary_head=dict(in_channels=512),
    test_cfg=dict(mode='slide', crop_size=crop_size, stride=(426, 426)),
)

train_dataloader = dict(batch_size=2)

optim_wrapper = dict(paramwise_cfg=dict(num_layers=12))
