_base_ = ['../_base_/models/mask2former_convnext.py', 'mmseg::mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py']

custom_imports = dict(imports=['convnext_dense'], allow_failed_imports=False)

model = dict(backbone=_base_.pop('convnext_t'), decode_head=dict(in_channels=[96, 192, 384, 768]))
optim_wrapper = _base_.pop('convnext_optim_wrapper')
