# For a model's `backbone`, in place of the base's own. Taken by `_base_.pop('convnext_t')`, it leaves no key of its own.
convnext_t = dict(_delete_=True, type='convnext_dense.ConvNeXt', arch='tiny', layer_scale_init_value=1.0)
