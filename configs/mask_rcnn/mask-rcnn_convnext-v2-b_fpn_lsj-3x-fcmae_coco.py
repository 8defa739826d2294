_base_ = ['./mask-rcnn_convnext-v2-b_fpn_amp-ms-crop-3x_coco.py', '../_base_/datasets/coco_lsj.py']

model = dict(test_cfg=dict(rcnn=dict(nms=dict(type='soft_nms'))))

train_pipeline = _base_.pop('lsj_pipeline')
train_dataloader = dict(batch_size=4, num_workers=8, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=32)
