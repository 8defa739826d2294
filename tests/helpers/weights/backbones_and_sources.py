"""Backbones to load into, and models of other libraries to load from."""

import torch

from convnext_dense.backbones import ConvNeXt

# For tests of names, to which the size does not matter.
SMALL = dict(depths=[1, 1, 2, 1], channels=[16, 32, 64, 128])


def v1(arch=SMALL, **arguments):
    return ConvNeXt(arch, **dict(layer_scale_init_value=1.0) | arguments)


def v2(arch=SMALL, **arguments):
    return ConvNeXt(arch, use_grn=True, layer_scale_init_value=0.0, **arguments)


def depths_and_channels(arch):
    return ConvNeXt.arch_settings[arch] if isinstance(arch, str) else (arch['depths'], arch['channels'])


def randomized(make):
    """The model that `make` returns, every parameter with a value at which it matters."""
    model = make()
    for name, param in model.named_parameters():
        torch.nn.init.normal_(param, mean=1.0 if param.ndim == 1 and 'bias' not in name else 0, std=0.2)
    model.eval()
    return model


def random_state(model):
    """A state dict of the model's names and shapes, with random values."""
    return {name: torch.randn_like(tensor) for name, tensor in model.state_dict().items()}


def without_output_norms(backbone):
    """The backbone with the stages' outputs as they are, as classification libraries return them."""
    for i in backbone.out_indices:
        setattr(backbone, f'norm{i}', torch.nn.Identity())
    return backbone.eval()


def num_reported(report):
    """How many of the checkpoint's tensors the report names."""
    groups = (report.matched, report.outside_block, report.unexpected, report.wrong_shape, *report.dropped.values())
    return sum(map(len, groups))
