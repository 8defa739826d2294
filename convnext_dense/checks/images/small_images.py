"""Finds images that are too small for a segmenter."""

from mmengine.dataset import Compose

from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
from convnext_dense.config.tree import bare_type

# Backbones that take no image below their stride, and what they have with four stages.
STRIDED = ('ConvNeXt', 'ModernizedResNet')
STRIDE = 32


def small_image_fault(plan: RunPlan, dataset: PlannedDataset, sizes: dict[str, tuple[int, int]]) -> str | None:
    """Return what is wrong with the smallest of a segmenter's images, as a sentence; None if nothing is.

    A detector leaves out small images in training, and pads them in testing.

    Args:
        plan: The run.
        dataset: One of its datasets.
        sizes: Height and width of some of its images by their files.
    """
    if not sizes or not dataset.is_segmented:
        return None
    file = min(sizes, key=lambda name: min(sizes[name]))
    height, width = sizes[file]
    if dataset.split == 'train':
        # A flip of one row or column has strides that PyTorch does not take.
        return f'{file}: the image is {width}x{height} px; it must be larger' if min(height, width) == 1 else None
    if min(height, width) >= STRIDE or bare_type(plan.cfg.model.get('backbone', {}).get('type')) not in STRIDED:
        return None
    if (plan.cfg.model.get('data_preprocessor') or {}).get('test_cfg'):
        # It pads images in testing.
        return None
    rows, columns = _prepared(dataset, file) or (STRIDE, STRIDE)
    if min(rows, columns) >= STRIDE:
        return None
    return (
        f'{file}: the image is {width}x{height} px (width x height), and {columns}x{rows} px when the model gets it, '
        f'which must be at least {STRIDE} high and wide; resize it, or set model.data_preprocessor.test_cfg='
        f'dict(size_divisor={STRIDE})'
    )


def _prepared(dataset: PlannedDataset, file: str) -> tuple[int, int] | None:
    """Return the size that an image has after the dataset's pipeline; None if the pipeline fails or augments."""
    infos = (info for info in dataset.infos if info['img_path'] == file)
    try:
        packed = Compose(dataset.cfg.get('pipeline') or [])(next(infos))
        rows, columns = packed['inputs'].shape[-2:]
    except Exception:  # noqa: BLE001 - what is wrong with the sample is said elsewhere
        return None
    return rows, columns
