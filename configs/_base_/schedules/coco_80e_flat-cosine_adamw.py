# D-FINE-L's 72 epochs with augmentation and 8 without. The rate is flat, falls to its half by a cosine as DEIM's does,
# and stays there without augmentation.
max_epochs = 80
num_plain_epochs = 8
num_flat_epochs = 40
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=4, dynamic_intervals=[(72, 1)])
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        begin=num_flat_epochs,
        end=max_epochs - num_plain_epochs,
        T_max=max_epochs - num_plain_epochs - num_flat_epochs,
        eta_min_ratio=0.5,
        convert_to_iter_based=True,
    ),
]

# The backbone has a twentieth of the rate. The constructor is for the weight decay: norms and biases have none.
optim_wrapper = dict(
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    constructor='convnext_dense.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(decay_rate=1.0, custom_keys=dict(backbone=dict(lr_mult=0.05))),
    optimizer=dict(type='AdamW', lr=0.00025, betas=(0.9, 0.999), weight_decay=0.000125),
    clip_grad=dict(max_norm=0.1),
)

auto_scale_lr = dict(enable=False, base_batch_size=32)
