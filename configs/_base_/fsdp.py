# Shards weights, gradients and the optimizer's state over the processes that train, by PyTorch's FSDP2.
model_wrapper_cfg = dict(type='convnext_dense.FullyShardedModel')
