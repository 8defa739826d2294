_base_ = ['./d-fine_convnext-t-dinov3_8xb4-80e_coco.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='convnext_dense.TimmBackbone',
        model_name='resnet50d',
        out_indices=[1, 2, 3],
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='timm://resnet50d.ra4_e3600_r224_in1k'),
    ),
    neck=dict(in_channels=[512, 1024, 2048]),
)
