"""Gives published weights of real-time DETRs our names, whoever published them."""

from convnext_dense.detectors.realtime_detr.published import original_names, transformers_names

LAYOUTS = (original_names, transformers_names)


def rename_published(state_dict: dict, prefix: str = '') -> None:
    """Give a state dict of the authors' or of transformers' our names; leave others as they are.

    Args:
        state_dict: It is changed in place.
        prefix: What the names begin with.

    Example:
        >>> import torch
        >>> weights = {'model.encoder_input_proj.0.0.weight': torch.tensor(1), 'class_embed.0.bias': torch.tensor(2)}
        >>> rename_published(weights)
        >>> weights
        {'neck.input_projections.0.0.weight': tensor(1), 'bbox_head.decoder.cls_branches.0.bias': tensor(2)}
    """
    for layout in LAYOUTS:
        if any(name.startswith(prefix + layout.SIGNATURE) for name in state_dict):
            for name in [name for name in state_dict if name.startswith(prefix)]:
                renamed = layout.rename(name.removeprefix(prefix), state_dict.pop(name))
                state_dict.update({prefix + ours: tensor for ours, tensor in renamed.items()})
            return
