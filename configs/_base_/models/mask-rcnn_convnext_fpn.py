_base_ = ['../backbones/convnext-t.py', 'mmdet::_base_/models/mask-rcnn_r50_fpn.py']

custom_imports = dict(imports=['convnext_dense'], allow_failed_imports=False)

model = dict(
    backbone=dict(_base_.pop('convnext_t'), out_indices=[0, 1, 2, 3], drop_path_rate=0.4, gap_before_final_norm=False),
    neck=dict(in_channels=[96, 192, 384, 768]),
)
