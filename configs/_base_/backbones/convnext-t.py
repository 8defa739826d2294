# A model takes this for its backbone, by `_base_.pop`, so that the config keeps no key `convnext_t`.
convnext_t = dict(_delete_=True, type='convnext_dense.ConvNeXt', arch='tiny', layer_scale_init_value=1.0)
