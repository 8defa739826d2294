_base_ = ['mmdet::rtmdet/rtmdet_l_convnext_b_4xb32-100e_coco.py']

custom_imports = dict(imports=['convnext_dense'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        type='convnext_dense.ConvNeXt',
        init_cfg=dict(_delete_=True, type='Pretrained', checkpoint='convnext_base_in22k_in1k_384'),
    )
)

optim_wrapper = dict(constructor='convnext_dense.LayerDecayOptimWrapperConstructor')

# The learning rate is for four GPUs of 32 images; mmdet's config inherits 16 from a schedule of two-stage models.
auto_scale_lr = dict(base_batch_size=128)
