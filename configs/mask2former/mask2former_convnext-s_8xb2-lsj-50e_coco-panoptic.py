_base_ = ['./mask2former_convnext-t_8xb2-lsj-50e_coco-panoptic.py']

model = dict(backbone=dict(arch='small', init_cfg=dict(checkpoint='convnext_small_in1k')))
