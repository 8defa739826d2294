_base_ = ['../backbones/convnext-t.py', 'mmseg::_base_/models/upernet_convnext.py']

custom_imports = dict(imports=['convnext_dense'], allow_failed_imports=False)

model = dict(
    backbone=dict(_base_.pop('convnext_t'), out_indices=[0, 1, 2, 3], drop_path_rate=0.4, gap_before_final_norm=False),
    decode_head=dict(in_channels=[96, 192, 384, 768], num_classes=150),
    auxiliary_head=dict(in_channels=384, num_classes=150),
)
