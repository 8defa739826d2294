_base_ = ['./mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py']

model = dict(backbone=dict(use_grn=True, layer_scale_init_value=0.0, init_cfg=dict(checkpoint='convnextv2_tiny_fcmae')))
