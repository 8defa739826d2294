_base_ = ['upernet_convnext-t-ln_8xb2-amp-160k_ade20k-512x512.py']

# As many images as in 160k iterations of 16.
train_cfg = dict(max_iters=20000, val_interval=2000)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=1.0, begin=1500, end=20000, eta_min=0.0, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=2000))

train_dataloader = dict(batch_size=16)
optim_wrapper = dict(optimizer=dict(lr=8e-4))
auto_scale_lr = dict(base_batch_size=128)
