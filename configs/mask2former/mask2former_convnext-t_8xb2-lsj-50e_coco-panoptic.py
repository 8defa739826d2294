_base_ = ['mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py']

custom_imports = dict(imports=['convnext_dense'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='convnext_dense.ConvNeXt',
        arch='tiny',
        drop_path_rate=0.4,
        layer_scale_init_value=1.0,
        init_cfg=dict(type='Pretrained', checkpoint='convnext_tiny_in1k'),
    ),
    panoptic_head=dict(in_channels=[96, 192, 384, 768]),
)

# One rate for the whole backbone, a tenth of the heads', as Mask2Former has it for every backbone. The constructor is
# for the weight decay: ConvNeXt's norms, biases and LayerScale have none, and not by a key for each of them.
optim_wrapper = dict(
    constructor='convnext_dense.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(decay_rate=1.0, custom_keys=dict(backbone=dict(_delete_=True, lr_mult=0.1))),
)
