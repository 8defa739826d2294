_base_ = ['./upernet_convnext-xl-in22k_8xb2-amp-160k_ade20k-640x640.py', '../_base_/fsdp.py']

# bf16 needs no loss scaler, which would have to look at all processes' gradients.
optim_wrapper = dict(
    _delete_=True,
    type='convnext_dense.BFloat16OptimWrapper',
    constructor='convnext_dense.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(decay_rate=0.9, decay_type='stage_wise', num_layers=12),
    optimizer=dict(type='AdamW', lr=8e-5, betas=(0.9, 0.999), weight_decay=0.05),
)
