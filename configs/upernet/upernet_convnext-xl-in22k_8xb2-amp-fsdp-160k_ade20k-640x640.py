_base_ = ['./upernet_convnext-xl-in22k_8xb2-amp-160k_ade20k-640x640.py', '../_base_/fsdp.py']

# bf16 needs no loss scaler, which would have to look at all processes' gradients.
optim_wrapper = dict(type='convnext_dense.BFloat16OptimWrapper')
