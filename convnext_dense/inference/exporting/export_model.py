"""Exports a model that was loaded."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convnext_dense.export.exporting import SUFFIXES, ExportOptions, describe_model, export_network
from convnext_dense.inference.inputs import image_inputs
from convnext_dense.inference.pipeline import test_pipeline

if TYPE_CHECKING:
    from convnext_dense.inference.model import Model

# More show little that is new.
CALIBRATION_IMAGES = 300


def export_model(
    model: 'Model',
    file: str | Path | None = None,
    calibrate: Any = (),  # noqa: ANN401 - see Args
    options: ExportOptions | None = None,
) -> Path:
    """Write a model for another runtime, and return the file.

    Args:
        model: The model.
        file: The file. Defaults to `default_file`.
        calibrate: Images that show which values there are, for 8 bits: as in `image_inputs`.
        options: How it is exported. Defaults to ONNX, for images of any size.

    Raises:
        UsageError: If a part of it cannot be exported.
    """
    options = options or ExportOptions()
    options.check()
    file = Path(file or default_file(model, options))
    with model._scope():
        description = describe_model(
            model.module, model.name, model.classes, model.colors, test_pipeline(model.cfg), options
        )
        export_network(model.module, description, file, options, calibration_images(model, calibrate))
    return file


def default_file(model: 'Model', options: ExportOptions) -> Path:
    """Return where a model is exported to: a file in ``exports``, whose name says what is not as usual.

    Args:
        model: The model.
        options: How it is exported.
    """
    marks = dict(backbone=options.part == 'backbone', half=options.half, int8=options.int8)
    name = '_'.join([model.name, *(mark for mark, is_so in marks.items() if is_so)])
    return Path('exports', name + SUFFIXES[options.to])


def calibration_images(model: 'Model', source: Any) -> list[np.ndarray]:  # noqa: ANN401 - see Args
    """Return images as the model's pipeline loads them.

    Args:
        model: The model.
        source: As in `image_inputs`; a video's frames count, too.
    """
    if isinstance(source, tuple | list) and not len(source):
        return []
    return [model.pipeline.load(image)['img'] for image in islice(image_inputs(source), CALIBRATION_IMAGES)]
