"""Writes a trained model for other runtimes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from torch import nn
from torch.export import ExportedProgram

from convnext_dense.config.machine import check_output_file
from convnext_dense.errors import UsageError
from convnext_dense.export.formats.lower_precision import onnx_to_half, onnx_to_int8, openvino_to_int8
from convnext_dense.export.formats.onnx_file import write_onnx
from convnext_dense.export.formats.openvino_file import read_onnx, write_openvino
from convnext_dense.export.formats.tensorrt_file import write_tensorrt
from convnext_dense.export.formats.torch_file import write_torch
from convnext_dense.export.graphs.images import fill_value
from convnext_dense.export.pipeline import runtime_steps
from convnext_dense.export.tracing import trace
from convnext_dense.runtime.description import DETECTION, FEATURES, SEGMENTATION, Description
from convnext_dense.runtime.preparing import fit_to_shape

SUFFIXES = dict(onnx='.onnx', openvino='.xml', torch='.pt2', tensorrt='.engine')
PARTS, MASKS, OUTPUTS = ('model', 'backbone'), ('boxes', 'image'), ('labels', 'scores')


@dataclass(frozen=True)
class ExportOptions:
    """How a model is exported.

    Args:
        to: 'onnx', 'openvino', 'torch' or 'tensorrt'.
        part: 'model', or 'backbone' for its backbone alone.
        shape: The height and width in pixels of its input. Defaults to any.
        batch: How many images its input has. Defaults to any.
        masks: 'boxes' for masks of the size of their boxes, or 'image' for masks of the input's.
        output: 'labels', or 'scores' for the probabilities of all classes, of a segmenter.
        half: Whether weights are kept in 16 bits.
        int8: Whether convolutions and products compute in 8 bits.
    """

    to: str = 'onnx'
    part: str = 'model'
    shape: tuple[int, int] | None = None
    batch: int | None = None
    masks: str = 'boxes'
    output: str = 'labels'
    half: bool = False
    int8: bool = False

    def check(self) -> None:
        """Raise UsageError if a value cannot be right, whatever the model."""
        choices = (('to', self.to, SUFFIXES), ('part', self.part, PARTS), ('masks', self.masks, MASKS))
        for name, value, known in (*choices, ('output', self.output, OUTPUTS)):
            if value not in known:
                raise UsageError(f'{name} must be one of {", ".join(known)}, not {value!r}.')
        if self.shape is not None and min(self.shape) < 32:
            raise UsageError(f'shape: height and width must be at least 32; got {self.shape[0]} and {self.shape[1]}.')
        if self.batch is not None and self.batch < 1:
            raise UsageError(f'batch: it must be at least 1; got {self.batch}.')
        if self.to == 'torch' and (self.half or self.int8):
            raise UsageError('to: a program of torch.export keeps the precision of the model; leave out half and int8.')
        if self.half and self.int8:
            raise UsageError('half and int8 exclude each other.')


def describe_model(
    model: nn.Module,
    name: str,
    classes: Sequence[str],
    colors: Sequence[tuple],
    transforms: Sequence[dict],
    options: ExportOptions,
) -> Description:
    """Return what an exported file says of its model.

    Args:
        model: The detector or segmenter.
        name: What it is called.
        classes: The names of its classes.
        colors: A color for each class.
        transforms: Its test pipeline.
        options: How it is exported.

    Raises:
        UsageError: If its test pipeline runs with OpenMMLab only, or an option is of another kind of model.
    """
    _check_kind(model, options)
    palette = [list(color) for color in colors]
    described = Description(FEATURES, name, list(classes), palette, shape=_list(options.shape), batch=options.batch)
    if options.part == 'backbone':
        return described
    steps = runtime_steps(transforms)
    if options.shape is not None:
        steps = fit_to_shape(steps, options.shape, fill_value(model))
    described = replace(described, steps=steps)
    if hasattr(model, 'decode_head'):
        threshold = getattr(model.decode_head, 'threshold', None)
        return replace(described, task=SEGMENTATION, output=options.output, mask_threshold=threshold)
    threshold = (model.test_cfg or {}).get('rcnn', {}).get('mask_thr_binary')
    return replace(described, task=DETECTION, masks=options.masks, mask_threshold=threshold)


def _check_kind(model: nn.Module, options: ExportOptions) -> None:
    """Raise UsageError if an option has no meaning for a model."""
    is_whole, is_segmenter = options.part == 'model', hasattr(model, 'decode_head')
    if options.output != ExportOptions.output and not (is_whole and is_segmenter):
        raise UsageError(
            f'output: {options.output} is of a segmenter, and this is a {"detector" if is_whole else "backbone"}.'
        )
    if options.masks != ExportOptions.masks and not (is_whole and getattr(model, 'with_mask', False)):
        raise UsageError('masks: it is of a detector with masks, and this model has none.')


def export_network(
    model: nn.Module, description: Description, file: Path, options: ExportOptions, images: Sequence[np.ndarray] = ()
) -> None:
    """Write a model for another runtime. The file is there whole, or not at all.

    Args:
        model: The detector or segmenter.
        description: What the file says of it.
        file: The file.
        options: How it is exported.
        images: BGR images that show which values there are, for 8 bits.

    Raises:
        UsageError: If a part of the model cannot be exported, or a package is not installed.
    """
    check_output_file(str(file), 'out')
    names = graph_names(model, description)
    program = trace(model, options.shape, options.batch, options.part, options.masks, options.output)
    file.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=file.parent, prefix='.export-') as folder:
        partial = Path(folder, file.name)
        _write(program, description, partial, names, options, images)
        # What stands next to the file is in its place first.
        for written in sorted(Path(folder).iterdir(), key=lambda path: path == partial):
            written.replace(file.parent / written.name)


def graph_names(model: nn.Module, description: Description) -> tuple[list[str], list[str]]:
    """Return the names of a graph's inputs and outputs.

    Args:
        model: The detector or segmenter.
        description: What the file says of it.
    """
    if description.task == FEATURES:
        indices = getattr(model.backbone, 'out_indices', None)
        count = len(model.backbone.out_indices) if indices is not None else 4
        return ['inputs'], [f'stage_{i}' for i in (indices if indices is not None else range(count))]
    if description.task == SEGMENTATION:
        return ['images', 'size'], [description.output]
    has_masks = getattr(model, 'with_mask', False)
    return ['images'], ['boxes', 'scores', 'labels', *(['masks'] if has_masks else [])]


def _write(
    program: ExportedProgram,
    description: Description,
    file: Path,
    names: tuple[list[str], list[str]],
    options: ExportOptions,
    images: Sequence[np.ndarray],
) -> None:
    if options.to == 'torch':
        write_torch(program, description, file, names[1])
        return
    if options.to == 'onnx':
        write_onnx(program, description, file, names)
        if options.half:
            onnx_to_half(file)
        if options.int8:
            onnx_to_int8(file, description, images)
        return
    with TemporaryDirectory() as folder:
        onnx = Path(folder, 'model.onnx')
        write_onnx(program, description, onnx, names)
        if options.to == 'tensorrt':
            write_tensorrt(onnx, file, options.half)
            return
        model = read_onnx(onnx)
        if options.int8:
            model = openvino_to_int8(model, description, images)
        write_openvino(model, description.to_json(), file, options.half)


def _list(shape: tuple[int, int] | None) -> list[int] | None:
    return None if shape is None else list(shape)
