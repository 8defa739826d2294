_base_ = [
    './cascade-mask-rcnn_convnext-v2-l_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py',
    '../_base_/datasets/coco_lsj.py',
]

model = dict(backbone=dict(drop_path_rate=0.5), test_cfg=dict(rcnn=dict(nms=dict(type='soft_nms'))))

train_pipeline = _base_.pop('lsj_pipeline')
train_dataloader = dict(batch_size=4, num_workers=8, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=32)
optim_wrapper = dict(paramwise_cfg=dict(decay_rate=0.95))
