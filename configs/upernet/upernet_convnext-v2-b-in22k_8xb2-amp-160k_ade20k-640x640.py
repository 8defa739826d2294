_base_ = ['./upernet_convnext-b-in22k_8xb2-amp-160k_ade20k-640x640.py']

model = dict(
    backbone=dict(
        use_grn=True, layer_scale_init_value=0.0, init_cfg=dict(checkpoint='convnextv2_base_fcmae_in22k_in1k_384')
    )
)
