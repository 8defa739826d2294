"""Checks an exported model against PyTorch, on images."""

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS

from convnext_dense.errors import UsageError
from convnext_dense.export.comparing import TOLERANCES, Difference, compare_results
from convnext_dense.export.exporting import ExportOptions
from convnext_dense.export.formats.torch_file import TorchSession
from convnext_dense.export.graphs.backbone import Backbone
from convnext_dense.export.tracing import BATCH, SHAPE
from convnext_dense.inference.inputs import image_inputs
from convnext_dense.runtime.model import Model as ExportedModel
from convnext_dense.runtime.sessions import open_session

if TYPE_CHECKING:
    from convnext_dense.inference.model import Model

# How many images of a validation set a check looks at.
CHECKED_IMAGES = 16
# How far a backbone's features may be off, as a part of the largest.
FEATURE_TOLERANCES = {32: 1e-4, 16: 0.02, 8: 0.2}


def check_export(model: 'Model', file: Path, options: ExportOptions, images: Sequence[str]) -> Difference:
    """Return how an exported model's results differ from PyTorch's.

    Args:
        model: The model.
        file: The exported file.
        options: How it was exported.
        images: Files.

    Raises:
        UsageError: If the file cannot be run.
    """
    exported = ExportedModel(open_exported(file))
    found = list(exported.stream(images))
    expected = list(model.stream(image_inputs(list(images))))
    return compare_results(expected, found, TOLERANCES[precision_of(options)])


def check_features(model: 'Model', file: Path, options: ExportOptions) -> float:
    """Return by how much features of an exported backbone differ from PyTorch's, as a part of the largest.

    Args:
        model: The model.
        file: The exported file.
        options: How it was exported.
    """
    height, width = options.shape or SHAPE
    channels = Backbone(model.module).channels
    inputs = torch.randn(options.batch or BATCH, channels, height, width, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = [part.cpu().numpy() for part in model.module.backbone(inputs.to(model.device))]
    found = open_exported(file).run(dict(inputs=inputs.numpy())).values()
    return max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(expected, found, strict=True))


def open_exported(file: Path) -> Any:  # noqa: ANN401 - a session
    """Return what runs an exported file."""
    return TorchSession(str(file)) if file.suffix == '.pt2' else open_session(str(file))


def precision_of(options: ExportOptions) -> int:
    """Return the bits of an exported model's arithmetic."""
    if options.int8:
        return 8
    return 16 if options.half else 32


def validation_images(cfg: Config, most: int = CHECKED_IMAGES) -> list[str]:
    """Return files of a config's validation set; none if it is not there.

    Args:
        cfg: The config. Its dataset's type is looked up in the current scope.
        most: How many.
    """
    loader = cfg.get('val_dataloader') or cfg.get('test_dataloader') or {}
    if not loader.get('dataset'):
        return []
    try:
        # pycocotools says how far it is.
        with redirect_stdout(io.StringIO()):
            dataset = DATASETS.build(dict(loader['dataset'], pipeline=[], lazy_init=False))
        step = max(len(dataset) // most, 1)
        found = (dataset.get_data_info(i)['img_path'] for i in range(0, len(dataset), step))
        return list(islice(found, most))
    except (OSError, UsageError):
        return []
