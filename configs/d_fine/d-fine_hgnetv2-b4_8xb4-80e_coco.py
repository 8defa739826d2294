_base_ = ['./d-fine_r50-d_8xb4-80e_coco.py']

# D-FINE-L, which takes pixels from 0 to 1. Its published weights load into this config. Its rate is flat to the end.
model = dict(
    data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255]),
    backbone=dict(model_name='hgnetv2_b4', init_cfg=dict(checkpoint='timm://hgnetv2_b4.ssld_stage1_in22k_in1k')),
)

param_scheduler = [_base_.param_scheduler[0]]
