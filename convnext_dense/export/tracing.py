"""A graph as a program of torch.export."""

import copy
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from convnext_dense.errors import UsageError, describe
from convnext_dense.export.graphs.backbone import Backbone
from convnext_dense.export.graphs.find_graph import find_graph
from convnext_dense.export.graphs.segmenter import Segmenter

# What a graph of any size is traced with. Height and width differ, so that they are known apart.
BATCH, SHAPE = 2, (256, 320)
# The sizes of its windows nest so deep that torch takes hours over them.
ONE_SHAPE = 'SwinTransformer'


def trace(
    model: nn.Module,
    shape: tuple[int, int] | None = None,
    batch: int | None = None,
    part: str = 'model',
    masks: str = 'boxes',
    output: str = 'labels',
) -> ExportedProgram:
    """Return a model as a program.

    Args:
        model: The detector or segmenter.
        shape: The height and width of its input, if it is to have one size only.
        batch: How many images its input has, if it is to be one number only.
        part: As in `find_graph`, and so the others.
        masks: As in `find_graph`.
        output: As in `find_graph`.

    Raises:
        UsageError: If a part of it cannot be exported.
    """
    if shape is None and any(type(module).__name__.startswith(ONE_SHAPE) for module in model.modules()):
        raise UsageError('shape: a Swin Transformer is exported for one size only; give its height and width.')
    with quiet_export(), torch.no_grad():
        graph = find_graph(without_hooks(model), part, masks, output).eval()
        try:
            inputs, sizes = example_inputs(graph, shape, batch)
            return torch.export.export(graph, inputs, dynamic_shapes=sizes, strict=False)
        except UsageError:
            raise
        except Exception as error:
            if shape is not None and 'allocate' in str(error):
                raise UsageError(f'shape: {shape[0]} x {shape[1]} does not fit into the memory.') from error
            raise UsageError(
                f'export: {type(model).__name__} cannot be traced: {describe(error).splitlines()[0].rstrip(".")}; '
                "a model's backbone can be exported alone, and some models with one shape only."
            ) from error


def example_inputs(
    graph: nn.Module, shape: tuple[int, int] | None, batch: int | None
) -> tuple[tuple[Tensor, ...], tuple[dict[int, Any], ...]]:
    """Return inputs to trace a graph with, and which of their sizes vary.

    Args:
        graph: The graph.
        shape: As in `trace`.
        batch: As in `trace`.
    """
    height, width = shape or SHAPE
    count = batch or BATCH
    is_backbone = isinstance(graph, Backbone)
    varying = dict.fromkeys((2, 3) if is_backbone else (1, 2), Dim.DYNAMIC) if shape is None else {}
    if batch is None:
        varying[0] = Dim.DYNAMIC
    if is_backbone:
        return (torch.zeros(count, graph.channels, height, width),), (varying,)
    images = torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8)
    if isinstance(graph, Segmenter):
        return (images, torch.tensor([height, width])), (varying, {})
    return (images,), (varying,)


def without_hooks(model: nn.Module) -> nn.Module:
    """Return a copy of a model on the CPU that nothing watches.

    Args:
        model: The model.
    """
    bare = copy.deepcopy(model).cpu()
    for module in bare.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return bare


@contextmanager
def quiet_export() -> Generator[None]:
    """Leave out what torch and onnxscript say of their own progress."""
    loggers = [logging.getLogger(name) for name in ('torch.onnx', 'torch.export', 'onnxscript', 'onnx_ir')]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
