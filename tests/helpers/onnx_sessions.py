"""Graphs in ONNX Runtime."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from convnext_dense.export.operators.onnx_forms import OPSET, onnx_forms
from convnext_dense.export.tracing import example_inputs, quiet_export


def run_in_onnx(graph: nn.Module, folder: Path) -> Callable[..., list[np.ndarray]]:
    """Return a function of a graph's inputs, of any size, that runs it in ONNX Runtime."""
    inputs, sizes = example_inputs(graph, None, None)
    with quiet_export(), torch.no_grad():
        program = torch.export.export(graph, inputs, dynamic_shapes=sizes, strict=False)
        # Optimizing takes most of the time.
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            custom_translation_table=onnx_forms(),
            optimize=False,
            verbose=False,
        )
    file = folder / 'graph.onnx'
    exported.save(str(file))
    session = onnxruntime.InferenceSession(str(file))
    names = [argument.name for argument in session.get_inputs()]

    def run(*tensors: Tensor) -> list[np.ndarray]:
        return session.run(None, {name: np.asarray(tensor) for name, tensor in zip(names, tensors, strict=True)})

    return run


def smooth_images(count: int, height: int, width: int) -> Tensor:
    """Return images of blurred colors, with shape (N, H, W, 3)."""
    generator = torch.Generator().manual_seed(height + width)
    colors = 255 * torch.rand(count, 3, 6, 8, generator=generator)
    images = nn.functional.interpolate(colors, (height, width), mode='bicubic').clamp(0, 255)
    return images.byte().permute(0, 2, 3, 1).contiguous()
