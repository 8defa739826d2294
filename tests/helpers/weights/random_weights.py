"""Models whose weights all matter."""

import torch


def randomize(model, std=0.2):
    """Give every parameter and statistic a value at which it matters, and return the model in eval mode."""
    for name, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            is_variance = 'running_var' in name
            is_scale = is_variance or (value.ndim == 1 and 'bias' not in name and 'mean' not in name)
            torch.nn.init.normal_(value, mean=1.0 if is_scale else 0.0, std=std)
            if is_variance:
                value.abs_()
    # mmdet's `eval` returns nothing.
    model.eval()
    return model
