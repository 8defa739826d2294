"""A config's test pipeline for images that come without annotations, from files or from memory."""

import copy
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import DATASETS

from convnext_dense.config.data.replace import make_palette
from convnext_dense.config.tree import bare_type, leaf_datasets
from convnext_dense.datasets.checked_loading import check_dataset_while_loading
from convnext_dense.errors import UsageError, describe
from convnext_dense.results.image_input import ImageInput

# What mmdet's and mmseg's datasets put into each sample, and their packing transforms may ask for.
SAMPLE = dict(img_id=0, reduce_zero_label=False, seg_fields=[])


class PredictPipeline:
    """Makes of an image what the model is fed in a test. It is built in the scope of the config.

    Args:
        cfg: The model's config.

    Raises:
        UsageError: If it has no test pipeline that begins with an image.
    """

    def __init__(self, cfg: Config) -> None:
        steps = test_pipeline(cfg)
        loads = [i for i, step in enumerate(steps) if bare_type(step.get('type')).startswith('LoadImage')]
        if not loads:
            raise UsageError('model: the config has no test_dataloader with a pipeline that loads an image.')
        self.loader = steps[loads[0]]
        self.is_plain = bare_type(self.loader.get('type')) == 'LoadImageFromFile'
        checked = dict(pipeline=[dict(self.loader)])
        try:
            check_dataset_while_loading(checked, cfg, 'test')
            self.loading, self.others = Compose(checked['pipeline']), Compose(steps[loads[0] + 1 :])
        except Exception as error:
            raise UsageError(f'model: its test pipeline cannot be built: {describe(error)}.') from error

    def __call__(self, image: ImageInput) -> dict[str, Any]:
        """Return what a loader's dataset would: `inputs` and `data_samples`.

        Args:
            image: The image.

        Raises:
            UsageError: If it cannot be read, or the pipeline cannot use it.
        """
        return self.prepare(self.load(image), image.name)

    def load(self, image: ImageInput) -> dict[str, Any]:
        """Return what the pipeline's first transform would: the image as `img`, and its shape.

        Args:
            image: The image.

        Raises:
            UsageError: If it cannot be read.
        """
        if image.path is None:
            return self._loaded(image)
        loaded = self.loading(dict(SAMPLE, img_path=image.path))
        if not isinstance(loaded, dict):
            raise UsageError(f'{image.name}: the test pipeline leaves it out.')
        return loaded

    def prepare(self, loaded: dict[str, Any], name: str) -> dict[str, Any]:
        """Return what the model is fed of an image that is loaded.

        Args:
            loaded: The image, as `load` returns it, or a part of it.
            name: What it is called.

        Raises:
            UsageError: If the pipeline cannot use it.
        """
        try:
            packed = self.others(loaded)
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(f'{name}: the test pipeline cannot use it: {describe(error)}.') from error
        if not isinstance(packed, dict):
            raise UsageError(f'{name}: the test pipeline leaves it out.')
        return packed

    def _loaded(self, image: ImageInput) -> dict[str, Any]:
        """Return what the loader would return for a file."""
        kind = self.loader.get('color_type', 'color')
        if not self.is_plain or kind != 'color':
            how = f'color_type {kind}' if self.is_plain else f'a {self.loader["type"]}'
            raise UsageError(f'inputs: {image.name}: the model reads images by {how}, so they must be files.')
        pixels = np.ascontiguousarray(image.pixels)
        if self.loader.get('to_float32'):
            pixels = pixels.astype(np.float32)
        shape = pixels.shape[:2]
        return dict(SAMPLE, img=pixels, img_path=image.name, img_shape=shape, ori_shape=shape)


def test_pipeline(cfg: Config) -> list[dict]:
    """Return the transforms of a config's test, without those that load annotations.

    Args:
        cfg: The config. Without a test set, its validation set counts.

    Example:
        >>> cfg = Config(dict(val_dataloader=dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile')]))))
        >>> test_pipeline(cfg)
        [{'type': 'LoadImageFromFile'}]
    """
    steps = _leaf(cfg).get('pipeline') or []
    return [dict(copy.deepcopy(step)) for step in steps if not _loads_annotations(step)]


def dataset_info(cfg: Config) -> tuple[dict, bool]:
    """Return what a config's test set says of its classes, and whether its label maps count them from 1.

    Args:
        cfg: The config. Its dataset's type is looked up in the current scope.
    """
    dataset = _leaf(cfg)
    with DATASETS.switch_scope_and_registry(dataset.get('_scope_')) as registry:
        kind = registry.get(dataset['type']) if dataset.get('type') else None
    own = getattr(kind, 'METAINFO', None) or {}
    reduces = dataset.get('reduce_zero_label')
    if reduces is None and kind is not None:
        parameter = inspect.signature(kind).parameters.get('reduce_zero_label')
        reduces = parameter is not None and parameter.default is True
    return {**own, **(dataset.get('metainfo') or {})}, bool(reduces)


def classes_and_colors(content: dict, info: dict) -> tuple[list[str], list[tuple[int, ...]]]:
    """Return the names and the colors of the classes: those of the training, or else those of the config's dataset.

    Args:
        content: A checkpoint.
        info: What `dataset_info` says.

    Example:
        >>> classes_and_colors({}, dict(classes=('cat',), palette=[(255, 0, 0)]))
        (['cat'], [(255, 0, 0)])
    """
    meta = content.get('meta')
    saved = meta.get('dataset_meta') if isinstance(meta, dict) else None
    if isinstance(saved, dict) and saved.get('classes'):
        info = saved
    names = info.get('classes') or ()
    names = [names] if isinstance(names, str) else [str(name) for name in names]
    palette = info.get('palette')
    if not isinstance(palette, list | tuple) or len(palette) < len(names):
        palette = make_palette(len(names))
    return names, [tuple(int(part) for part in color) for color in palette]


def batches(images: Iterable[tuple[ImageInput, dict]], size: int) -> Iterator[list[tuple[ImageInput, dict]]]:
    """Yield images of one shape in batches: padding would change what a model sees.

    Args:
        images: Images, with what `PredictPipeline` makes of them.
        size: How many a batch has at most.
    """
    batch: list[tuple[ImageInput, dict]] = []
    problem = None
    try:
        for image in images:
            if batch and (len(batch) == size or _shape(image[1]) != _shape(batch[0][1])):
                yield batch
                batch = []
            batch.append(image)
    except UsageError as error:
        # What comes before an image that cannot be read is still predicted on.
        problem = error
    if batch:
        yield batch
    if problem:
        raise problem


def _leaf(cfg: Config) -> dict:
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader') or {}
    leaves = leaf_datasets(loader.get('dataset') or {})
    return leaves[0] if leaves else {}


def _shape(packed: dict) -> tuple[int, ...]:
    return tuple(packed['inputs'].shape)


def _loads_annotations(step: dict) -> bool:
    name = bare_type(step.get('type'))
    return name.startswith('Load') and 'Annotation' in name


# pytest must not take it for a test where it is imported by name.
test_pipeline.__test__ = False
