_base_ = ['./upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(use_grn=True, layer_scale_init_value=0.0, init_cfg=dict(checkpoint='convnextv2_tiny_fcmae')))
