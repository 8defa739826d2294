"""Writes a model into one file: weights, config, classes and colors."""

from pathlib import Path

from convnext_dense.config.foreign import config_as_data
from convnext_dense.errors import UsageError
from convnext_dense.inference.find_model import FoundModel
from convnext_dense.inference.model import Model
from convnext_dense.weights.matching import describe_diverged
from convnext_dense.weights.storage.files import check_new_file, write_file
from convnext_dense.wording import counted

SUFFIXES = ('.pth', '.pt')
BUILT = ('model', 'test_dataloader', 'default_scope')


def write_model_file(found: FoundModel, path: str | Path) -> str:
    """Write a new file that holds all that `load_model` needs, and that PyTorch reads with ``weights_only=True``.

    What only training needs, such as the state of the optimizer, is left out. A checkpoint of a training is such a file
    already, with the optimizer.

    Args:
        found: The config and the checkpoint.
        path: The new file, ending in .pth or .pt.

    Returns:
        A summary of what was written.

    Raises:
        UsageError: If the checkpoint is not one of the config's model, the config cannot be saved as text, or the file
            cannot be written.

    Example:
        >>> from convnext_dense.inference.find_model import find_model
        >>> found = find_model('mask_rcnn_convnext_tiny_in1k_coco')  # doctest: +SKIP
        >>> print(write_model_file(found, 'mask_rcnn.pth'))  # doctest: +SKIP
        mask_rcnn.pth: MaskRCNN with ConvNeXt, 80 classes, 192.6 MB.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise UsageError(f'output: a model with its config is a file of {" or ".join(SUFFIXES)}; got {path}.')
    check_new_file(path)
    text = found.cfg.pretty_text
    kept = config_as_data(text)
    if lost := [key for key in BUILT if found.cfg.get(key) and key not in kept]:
        raise UsageError(f'model: its {lost[0]} has values that a text cannot hold, such as functions.')
    model = Model(found, 'cpu')
    weights = model.module.state_dict()
    if problem := describe_diverged(weights, found.checkpoint):
        raise UsageError(f'source: {problem}')
    info = dict(classes=tuple(model.classes), palette=[tuple(color) for color in model.colors])
    write_file(path, weights, dict(cfg=text, dataset_meta=info))
    kinds = ' with '.join(type(part).__name__ for part in (model.module, model.module.backbone))
    return f'{path}: {kinds}, {counted(len(model.classes), "class")}, {path.stat().st_size / 1e6:.1f} MB.'
