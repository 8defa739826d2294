_base_ = ['../upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py']

# From scratch: there are no pretrained weights of a ConvNeXt with BN to compare with.
model = dict(
    backbone=dict(init_cfg=dict(_delete_=True, type='TruncNormal', layer=['Conv2d', 'Linear'], std=0.02, bias=0.0))
)

auto_scale_lr = dict(enable=False, base_batch_size=16)
