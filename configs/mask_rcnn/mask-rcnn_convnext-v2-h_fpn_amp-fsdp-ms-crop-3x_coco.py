_base_ = ['./mask-rcnn_convnext-v2-h_fpn_amp-ms-crop-3x_coco.py', '../_base_/fsdp.py']

# bf16 needs no loss scaler, which would have to look at all processes' gradients.
optim_wrapper = dict(type='convnext_dense.BFloat16OptimWrapper')
