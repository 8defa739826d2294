_base_ = [
    '../_base_/models/mask2former_convnext.py',
    'mmseg::mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py',
]

custom_imports = dict(imports=['convnext_dense'], allow_failed_imports=False)

model = dict(backbone=_base_.pop('convnext_t'), decode_head=dict(in_channels=[96, 192, 384, 768]))
optim_wrapper = _base_.pop('convnext_optim_wrapper')
