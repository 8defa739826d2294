"""Loads weights of any layout into a ConvNeXt: by a config's `init_cfg`, and as a part of a whole model."""

import logging

import torch
from mmengine.logging import print_log
from mmengine.model import PretrainedInit, update_init_info
from torch import Tensor, nn

from convnext_dense.backbones import ConvNeXt
from convnext_dense.backbones.base import Backbone
from convnext_dense.errors import CheckpointError
from convnext_dense.registry import STATE_DICT_CONVERTERS, WEIGHT_INITIALIZERS
from convnext_dense.weights.load_timm import TakesTimmWeights, load_timm_pretrained
from convnext_dense.weights.matching import LoadReport, describe_diverged, match
from convnext_dense.weights.recognize import flatten
from convnext_dense.weights.storage.sources import read_weights


def load_pretrained(backbone: ConvNeXt, checkpoint: str, prefix: str | None = None, strict: bool = True) -> LoadReport:
    """Load a ConvNeXt's weights from any public checkpoint, and log a report.

    The layout is recognized and wrappers around the weights are removed. The classifier is dropped, its final norm
    becomes `norm3`, and a stem of 3 input channels is adapted to the backbone's as timm does.

    Args:
        backbone: The backbone.
        checkpoint: A path, an address, a published name, or another source of `read_weights`.
        prefix: Which ConvNeXt to take, if the checkpoint has several: what stands before its names.
        strict: Whether to raise an error if tensors of the backbone, except output norms, are missing or differ in
            shape, or if the backbone has no place for some of the checkpoint's.

    Returns:
        What was done with each tensor.

    Raises:
        CheckpointError: If the checkpoint cannot be read, holds no ConvNeXt, or holds NaN; if nothing of it fits; if
            `strict` and not all of it fits. The backbone is unchanged then.

    Example:
        >>> from convnext_dense.backbones import ConvNeXt
        >>> from convnext_dense.weights import load_pretrained
        >>> print(load_pretrained(ConvNeXt('tiny'), 'convnext_tiny_in1k'))  # doctest: +SKIP
    """
    own = backbone.state_dict()
    if any(tensor.is_meta for tensor in own.values()):
        raise CheckpointError(f'{checkpoint} cannot be loaded into a backbone on the meta device; move it first.')
    weights, report = match(flatten(read_weights(checkpoint)), backbone, checkpoint, prefix)
    if strict and not report.fits:
        raise CheckpointError(f'{report.problem()} strict=False in init_cfg loads only what fits.')
    if not weights:
        raise CheckpointError(f'nothing of {checkpoint} fits the backbone: {report.problem()}')
    if problem := describe_diverged(weights, checkpoint):
        raise CheckpointError(problem)
    with torch.no_grad():
        for name, tensor in weights.items():
            own[name].copy_(tensor)
    backbone.weights_from = checkpoint
    _log(report)
    return report


@WEIGHT_INITIALIZERS.register_module()
class Pretrained(PretrainedInit):
    """The initializer of ``init_cfg=dict(type='Pretrained', ...)`` in this package's backbones.

    A ConvNeXt loads by `load_pretrained`, a `TimmBackbone` by `load_timm_pretrained`, and any other module as in
    mmengine.

    Args:
        checkpoint: As in `load_pretrained`.
        prefix: As in `load_pretrained`.
        map_location: For other modules; the weights of this package's backbones go where the backbone is.
        strict: As in `load_pretrained`.

    Example:
        >>> init_cfg = dict(type='Pretrained', checkpoint='convnextv2_tiny_fcmae_in22k_in1k')
    """

    def __init__(
        self, checkpoint: str, prefix: str | None = None, map_location: str | None = None, strict: bool = True
    ) -> None:
        super().__init__(checkpoint, prefix, map_location)
        self.strict = strict

    def __call__(self, module: nn.Module) -> None:
        """Load the weights into `module`."""
        if isinstance(module, ConvNeXt):
            load_pretrained(module, self.checkpoint, self.prefix, self.strict)
        # By PyTorch's annotations, a module's own attributes are all modules and tensors.
        elif isinstance(module, TakesTimmWeights):  # pyrefly: ignore[unsafe-overlap]
            load_timm_pretrained(module, self.checkpoint, self.prefix)
        else:
            super().__call__(module)
        if isinstance(module, Backbone):
            module.weights_from = self.checkpoint
            if hasattr(module, '_params_init_info'):
                update_init_info(module, init_info=self._get_init_info())


@STATE_DICT_CONVERTERS.register_module('ConvNeXt')
def convert_state_dict(backbone: ConvNeXt, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Rename and reshape the backbone's weights in a state dict, in place, and log a report.

    A ConvNeXt calls this for every state dict that it loads, alone or within a model, so `load_from` takes detectors
    and segmenters of every layout. When it raises, modules that stand before the backbone in a model may be loaded
    already; mmdet's and mmseg's models have none. Unknown names stay in the state dict, for the caller to report.

    Args:
        backbone: The backbone.
        state_dict: The weights of the backbone or of the whole model.
        prefix: What the backbone's names begin with.

    Raises:
        CheckpointError: If they do not fit the backbone.

    Example:
        >>> import timm
        >>> from convnext_dense.backbones import ConvNeXt
        >>> weights = timm.create_model('convnext_atto').state_dict()
        >>> convert_state_dict(ConvNeXt('atto'), weights, '')
        >>> 'norm3.weight' in weights, 'head.fc.weight' in weights
        (True, False)
    """
    own = {name: value for name, value in state_dict.items() if name.startswith(prefix)}
    source = f'the weights of {prefix.rstrip(".")}' if prefix else 'the state dict'
    if not own:
        raise CheckpointError(
            f'{source}: the checkpoint has no names that begin with {prefix!r}, as those of a whole model do; load '
            "weights of a backbone alone by its init_cfg=dict(type='Pretrained', checkpoint=...)."
        )
    if _shapes(own) == {prefix + name: shape for name, shape in _shapes(backbone.state_dict()).items()}:
        print_log(f"{source}: all {len(own)} tensors match, in the backbone's own names.", logger='current')
        return
    tensors = {name.removeprefix(prefix): tensor for name, tensor in flatten(own).items()}
    weights, report = match(tensors, backbone, source)
    if not report.fits:
        raise CheckpointError(
            f"{report.problem()} To load only what fits, use the backbone's init_cfg=dict(type='Pretrained', "
            'checkpoint=..., strict=False) instead of load_from.'
        )
    for name in own.keys() - {prefix + name for name in report.outside_block}:
        del state_dict[name]
    state_dict.update({prefix + name: tensor for name, tensor in weights.items()})
    _log(report)


def _shapes(state_dict: dict[str, Tensor]) -> dict[str, tuple[int, ...] | None]:
    return {name: getattr(tensor, 'shape', None) for name, tensor in state_dict.items()}


def _log(report: LoadReport) -> None:
    level = logging.WARNING if report.outside_block or not report.fits else logging.INFO
    print_log(str(report), logger='current', level=level)
