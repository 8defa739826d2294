"""What each stage of a backbone gives and costs."""

from dataclasses import dataclass

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convnext_dense.analysis.image_shape import default_shape
from convnext_dense.build_errors import build_sentence, message_of
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import build_on_meta, without_allocating


@dataclass(frozen=True)
class Part:
    """A part of a backbone that has parameters.

    Args:
        name: Its name in the backbone, such as ``stages.2``.
        shape: The shape of what it gives for one image, without the image's dimension; None if it gives no tensor.
        params: The number of its parameters.
        flops: The multiply-adds of one image.
    """

    name: str
    shape: tuple[int, ...] | None
    params: int
    flops: int


def backbone_parts(cfg: Config, shape: tuple[int, int] | None = None) -> list[Part]:
    """Run a config's backbone on one image without allocating it, and return what its parts give and cost.

    A part is a child of the backbone, or of a list in it. Multiply-adds are counted as in `measure_complexity`.

    Args:
        cfg: A config with a model that has a backbone.
        shape: Height and width of the image in pixels. Defaults to `default_shape`.

    Raises:
        UsageError: If there is no backbone, or it cannot be built or take such an image.

    Example:
        >>> from convnext_dense.config import load_config
        >>> parts = backbone_parts(load_config('upernet_convnext-demo_demo-ade20k'), (64, 64))
        >>> [(part.name, part.shape) for part in parts if part.name.startswith('stages')][:2]
        [('stages.0', (32, 16, 16)), ('stages.1', (64, 8, 8))]
    """
    backbone_cfg = cfg.model.get('backbone')
    if not backbone_cfg:
        raise UsageError('model: it has no backbone.')
    height, width = shape or default_shape(cfg)
    try:
        backbone = build_on_meta(backbone_cfg, cfg.default_scope)
        parts = _parts(backbone)
        shapes: dict[str, tuple[int, ...]] = {}
        for name, part in parts.items():
            part.register_forward_hook(_noting(shapes, name))
        with without_allocating(), FlopCounterMode(display=False) as counter:
            backbone(torch.empty(1, backbone_cfg.get('in_channels', 3), height, width))
    except Exception as error:  # a user's model may raise anything
        reason = build_sentence(error, cfg) or message_of(error)
        raise UsageError(f'model.backbone: an image of {height} x {width}: {reason}') from error
    counts = counter.get_flop_counts()
    kind = type(backbone).__name__
    # As they run.
    order = {name: number for number, name in enumerate(shapes)}
    return [
        # PyTorch counts multiplications and additions apart.
        Part(name, shapes.get(name), _params(part), sum(counts.get(f'{kind}.{name}', {}).values()) // 2)
        for name, part in sorted(parts.items(), key=lambda item: order.get(item[0], len(order)))
    ]


def _parts(backbone: nn.Module) -> dict[str, nn.Module]:
    parts, prefix = {}, ''
    # A wrapper, such as TimmBackbone.
    while len(children := [item for item in backbone.named_children() if _params(item[1])]) == 1:
        prefix, backbone = f'{prefix}{children[0][0]}.', children[0][1]
    for name, child in backbone.named_children():
        name = f'{prefix}{name}'
        if isinstance(child, nn.ModuleList):
            parts |= {f'{name}.{number}': part for number, part in child.named_children()}
        else:
            parts[name] = child
    return {name: part for name, part in parts.items() if _params(part)}


def _params(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())


def _noting(shapes: dict[str, tuple[int, ...]], name: str):  # noqa: ANN202 - PyTorch's hook
    def note(module: nn.Module, inputs: tuple, output: object) -> None:
        if isinstance(output, Tensor):
            shapes[name] = tuple(output.shape[1:])

    return note
