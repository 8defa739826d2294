"""An engine of TensorRT, which is built on the GPU that it is for."""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from convnext_dense.errors import UsageError

# The smallest, usual and largest height and width of an engine for any size, and its largest batch.
SMALLEST, USUAL, LARGEST, MOST_IMAGES = (64, 64), (800, 1216), (1344, 1344), 8


def write_tensorrt(onnx: Path, file: Path, half: bool) -> None:
    """Build an engine of an ONNX file.

    Args:
        onnx: The ONNX file.
        file: The engine's file.
        half: Whether it may compute in 16 bits.

    Raises:
        UsageError: If there is no NVIDIA GPU, TensorRT is not installed, or it cannot build the model.
    """
    tensorrt = check_tensorrt()

    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network()
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx)):
        raise UsageError(f'export: TensorRT cannot read the model: {parser.get_error(0).desc()}.')
    config = builder.create_builder_config()
    if half:
        config.set_flag(tensorrt.BuilderFlag.FP16)
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        entry = network.get_input(i)
        if entry.is_shape_tensor:
            profile.set_shape_input(entry.name, SMALLEST, USUAL, LARGEST)
        else:
            profile.set_shape(entry.name, *_shapes(tuple(entry.shape)))
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise UsageError('export: TensorRT cannot build the model; export --to onnx, and see what trtexec says of it.')
    file.write_bytes(engine)


def check_tensorrt() -> Any:  # noqa: ANN401 - a module
    """Return TensorRT's module.

    Raises:
        UsageError: If no engine can be built here.
    """
    if not torch.cuda.is_available():
        raise UsageError(
            'export: TensorRT builds an engine on the NVIDIA GPU that it is for, and there is none here; export --to '
            'onnx, and build it there by trtexec --onnx=FILE.'
        )
    try:
        return import_module('tensorrt')
    except ImportError as error:
        raise UsageError('export: tensorrt is not installed; pip install tensorrt.') from error


def _shapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the smallest, usual and largest shape of an input whose sizes that vary are -1."""
    shapes = []
    for count, size in ((1, SMALLEST), (1, USUAL), (MOST_IMAGES, LARGEST)):
        # Images have their channels last, and a backbone's inputs have them second.
        whole = (count, *size, shape[3]) if shape[3] > 0 else (count, shape[1], *size)
        shapes.append(tuple(given if given > 0 else value for given, value in zip(shape, whole, strict=True)))
    return shapes
