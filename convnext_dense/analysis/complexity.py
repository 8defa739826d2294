"""Counts the parameters and the multiply-adds of a model, as the papers on ConvNeXt do."""

from typing import NamedTuple

import torch
from mmengine.config import Config

from convnext_dense.analysis.counters import find_counter
from convnext_dense.analysis.image_shape import default_shape
from convnext_dense.build_errors import build_sentence, message_of
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import build_on_meta, without_allocating


class Complexity(NamedTuple):
    """What a model costs.

    Args:
        params: The number of all parameters.
        flops: The multiply-adds of one image.
        parts: Parameters and multiply-adds of each part of the model, such as 'backbone'.
    """

    params: int
    flops: int
    parts: dict[str, tuple[int, int]]


def measure_complexity(cfg: Config, shape: tuple[int, int] | None = None) -> Complexity:
    """Count the parameters of a model and the multiply-adds of one image, without allocating either.

    It counts the multiply-adds of convolutions, linear layers and matrix products, which the papers call FLOPs. It
    does not count norms, activations, biases, pooling, interpolation, RoIAlign and NMS. mmdet 2 counts some of these,
    which are at most 0.2 % of the published numbers of ConvNeXt. Of deformable attention, it counts the projections,
    not the sampling and its weighted sum.

    - A two-stage detector is counted as in mmdet 2: backbone, neck and RPN head, 1000 RoIs through each of its box
      heads, and 100 through each of its mask heads.
    - A single-stage detector is counted up to the outputs of its ``bbox_head``.
    - DETR, DINO, MaskFormer and Mask2Former are counted up to the outputs of all layers of their decoders, which
      testing computes too.
    - A segmenter is counted up to the outputs of its ``decode_head``. Auxiliary heads have parameters, and no
      multiply-adds: testing does not run them.

    Args:
        cfg: A config with a model.
        shape: Height and width of the image in pixels. Defaults to `default_shape`.

    Returns:
        The totals, and the parameters and multiply-adds of each part.

    Raises:
        UsageError: If the model cannot be built, cannot be counted, or cannot take an image of this shape.

    Reference:
        Liu et al., `A ConvNet for the 2020s <https://arxiv.org/abs/2201.03545>`_, tables 3 to 5.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('mask-rcnn_convnext-demo_fpn_demo-coco')
        >>> measure_complexity(cfg, (128, 128)).parts['neck']
        (100608, 31051776)
    """
    height, width = shape or default_shape(cfg)
    if min(height, width) < 1:
        raise UsageError(f'shape: height and width must be positive; got {height} x {width}.')
    try:
        model = build_on_meta(cfg.model, cfg.default_scope)
    except Exception as error:  # building a user's model may raise anything
        raise UsageError(build_sentence(error, cfg) or f'model: {message_of(error)}') from error
    kind = type(model).__name__
    count = find_counter(model)
    channels = (cfg.model.get('backbone') or {}).get('in_channels', 3)
    try:
        with without_allocating():
            flops = count(model, torch.empty(1, channels, height, width))
    except Exception as error:  # and so may running it
        raise UsageError(f'model: {kind} cannot take an image of {height} x {width}: {message_of(error)}') from error
    params = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    uncounted = [name for name, number in params.items() if number and name not in flops and name != 'auxiliary_head']
    if uncounted:
        raise UsageError(f'model: the multiply-adds of {kind}.{uncounted[0]} cannot be counted.')
    parts = {name: (number, flops.get(name, 0)) for name, number in params.items() if number}
    return Complexity(sum(p.numel() for p in model.parameters()), sum(flops.values()), parts)
