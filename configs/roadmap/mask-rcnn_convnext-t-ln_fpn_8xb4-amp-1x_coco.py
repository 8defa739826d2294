_base_ = ['mask-rcnn_convnext-t-ln_fpn_8xb2-amp-1x_coco.py']

train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
auto_scale_lr = dict(base_batch_size=32)
