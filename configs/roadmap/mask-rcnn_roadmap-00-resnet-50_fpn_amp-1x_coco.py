_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    'mmdet::_base_/datasets/coco_instance.py',
    '../_base_/schedules/coco_1x_adamw.py',
    'mmdet::_base_/default_runtime.py',
]

custom_imports = dict(imports=['convnext_dense'], allow_failed_imports=False)

# The recipe of every step: that of ConvNeXt-T for 12 epochs, without pretrained weights.
model = dict(
    backbone=dict(
        _delete_=True,
        type='convnext_dense.ModernizedResNet',
        drop_path_rate=0.2,
        layer_scale_init_value=1.0,
    )
)
