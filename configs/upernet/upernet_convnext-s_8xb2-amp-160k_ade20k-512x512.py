_base_ = ['./upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py']

model = dict(backbone=dict(arch='small', drop_path_rate=0.3, init_cfg=dict(checkpoint='convnext_small_in1k_noema')))

optim_wrapper = dict(paramwise_cfg=dict(num_layers=12))
