# Takes the place of a base model's own backbone. `_base_.pop` takes it, so that it leaves no key of its own.
convnext_t = dict(_delete_=True, type='convnext_dense.ConvNeXt', arch='tiny', layer_scale_init_value=1.0)
