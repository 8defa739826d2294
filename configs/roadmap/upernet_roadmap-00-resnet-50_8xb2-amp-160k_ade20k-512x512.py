_base_ = ['../upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py']

# The recipe of every step: the published one of ConvNeXt-T, without pretrained weights.
model = dict(
    backbone=dict(
        _delete_=True,
        type='convnext_dense.ModernizedResNet',
        drop_path_rate=0.4,
        layer_scale_init_value=1.0,
    ),
    decode_head=dict(in_channels=[256, 512, 1024, 2048]),
    auxiliary_head=dict(in_channels=1024),
)
