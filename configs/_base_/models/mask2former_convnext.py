_base_ = ['../backbones/convnext-t.py']

# A child of mmdet's or mmseg's Mask2Former takes both by `_base_.pop`.
convnext_t = dict(
    _base_.pop('convnext_t'),
    drop_path_rate=0.4,
    init_cfg=dict(type='Pretrained', checkpoint='convnext_tiny_in1k'),
)

# One rate for the whole backbone, a tenth of the heads', as Mask2Former has it for every backbone. The constructor is
# for the weight decay: ConvNeXt's norms, biases and LayerScale have none, and not by a key for each of them.
convnext_optim_wrapper = dict(
    constructor='convnext_dense.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(decay_rate=1.0, custom_keys=dict(backbone=dict(_delete_=True, lr_mult=0.1))),
)
