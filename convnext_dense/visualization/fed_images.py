"""Reads images as a model is fed them: after augmentation, and through the data preprocessor."""

import copy
import io
from collections.abc import Collection, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, DefaultScope
from mmengine.structures import BaseDataElement

from convnext_dense.build_errors import build_sentence, message_of
from convnext_dense.config.data.replace import make_palette
from convnext_dense.config.tree import bare_type, leaf_datasets
from convnext_dense.datasets.checked_loading import check_dataset_while_loading, ignore_index
from convnext_dense.datasets.picture import COLORS, as_picture
from convnext_dense.errors import UsageError
from convnext_dense.visualization.seeds import seeded

# The label of pixels that are ignored.
IGNORED = -1
# What makes 8 bits of any image.
EIGHT_BITS = ('color', 'grayscale', 'color_ignore_orientation', 'grayscale_ignore_orientation')


@dataclass(frozen=True)
class FedObject:
    """An object of an image.

    Args:
        box: Its left, top, right and bottom in pixels.
        label: Its class.
        mask: Where it is, with the image's shape, if it has a mask.
        is_ignored: Whether the model neither learns it nor learns that nothing is there.
    """

    box: tuple[float, float, float, float]
    label: int
    mask: np.ndarray | None = None
    is_ignored: bool = False


@dataclass(frozen=True)
class FedImage:
    """An image as a model is fed it.

    Args:
        file: The file that it comes from, or the first of several.
        picture: The image as RGB of 8 bits, with shape (height, width, 3).
        objects: Its objects.
        label_map: The class of each pixel, with shape (height, width), or `IGNORED`; None if it has none.
        remarks: What was done to it, in a few words each.
    """

    file: str
    picture: np.ndarray
    objects: list[FedObject] = field(default_factory=list)
    label_map: np.ndarray | None = None
    remarks: tuple[str, ...] = ()


class FedDataset:
    """A config's dataset, whose images are read as the model is fed them.

    Args:
        cfg: As `load_config` returns it.
        split: 'train', 'val' or 'test'.
        skip_check: Names of checks to leave out where images are loaded.

    Attributes:
        classes: The names of its classes.
        colors: A color for each class, as RGB.
        ignored_name: What the objects are that it ignores.
        transforms: The names of its transforms.

    Raises:
        UsageError: If it cannot be built, or feeds other things than images with objects or label maps.
    """

    def __init__(self, cfg: Config, split: str, skip_check: Collection[str] = ()) -> None:
        self.split, self.scope = split, cfg.default_scope
        self.key = f'{split}_dataloader.dataset'
        self.ignore_index = ignore_index(cfg, split)
        dataset = copy.deepcopy(cfg[f'{split}_dataloader'].dataset)
        if split != 'train':
            _load_annotations_first(dataset)
        with DefaultScope.overwrite_default_scope(self.scope):
            try:
                transforms = _transforms(dataset)
                check_dataset_while_loading(dataset, cfg, split, skip_check)
                # mmdet's datasets print how long they take.
                with redirect_stdout(io.StringIO()):
                    self.dataset: Any = DATASETS.build(dataset)
                self.preprocessor: Any = MODELS.build(cfg.model.data_preprocessor)
            except UsageError:
                raise
            except Exception as error:
                raise UsageError(build_sentence(error, cfg, self.key) or f'{self.key}: {message_of(error)}') from error
        loaders = [str(value) for value in _values(dataset, 'color_type')]
        self.has_8_bits = all(value in EIGHT_BITS for value in loaders)
        self.classes, self.colors = _classes(self.dataset.metainfo)
        kinds = [bare_type(leaf.get('type')) for leaf in leaf_datasets(dataset)]
        self.transforms = transforms
        self.ignored_name = 'crowd' if all(kind.startswith('Coco') for kind in kinds) else 'ignored'

    @property
    def normalization(self) -> str:
        """What the data preprocessor subtracts and divides by."""
        preprocessor = getattr(self.preprocessor, 'data_preprocessor', self.preprocessor)
        if not getattr(preprocessor, '_enable_normalize', False):
            return 'none'
        mean, std = (
            ', '.join(f'{value:.4g}' for value in part.flatten().tolist())
            for part in (preprocessor.mean, preprocessor.std)
        )
        return f'mean {mean}; std {std}'

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, index: int, seed: int) -> list[FedImage]:
        """Return an image as the model is fed it; several if it is augmented in several ways at a time.

        Args:
            index: Its number.
            seed: What the augmentation is drawn by.

        Raises:
            UsageError: If it cannot be read, augmented or preprocessed.
        """
        with DefaultScope.overwrite_default_scope(self.scope), seeded(seed):
            try:
                packed = self.dataset[index]
            except UsageError:
                raise
            except Exception as error:
                raise UsageError(f'{self.key}: image {index} cannot be read: {message_of(error)}') from error
            try:
                with torch.no_grad():
                    fed = self.preprocessor(pseudo_collate([packed]), self.split == 'train')
                return list(self._images(fed['inputs'], fed['data_samples'], packed['inputs']))
            except Exception as error:
                raise UsageError(f'model.data_preprocessor: {message_of(error)}') from error

    def _images(self, inputs: Any, samples: Any, packed: Any, branch: str = '') -> Iterator[FedImage]:  # noqa: ANN401
        if isinstance(inputs, dict):
            # mmdet's semi-supervised detectors augment an image in several ways.
            for name in inputs:
                yield from self._images(inputs[name], samples[name], packed[name], name)
            return
        (sample,) = samples
        if not isinstance(packed, torch.Tensor) or packed.dim() != 3:
            raise UsageError('it gets several images at a time, such as those of a video, which are not drawn.')
        yield self._image(inputs[0], sample, packed.dtype == torch.uint8, branch)

    def _image(self, pixels: torch.Tensor, sample: BaseDataElement, is_byte: bool, branch: str) -> FedImage:
        picture = self._picture(pixels, is_byte)
        shape = picture.shape[:2]
        label_map = _label_map(sample, shape, self.ignore_index, len(self.classes))
        objects = [
            *_objects(sample.get('gt_instances'), shape, False),
            *_objects(sample.get('ignored_instances'), shape, True),
        ]
        return FedImage(
            sample.get('img_path', ''), picture, objects, label_map, tuple(_remarks(sample, pixels, shape, branch))
        )

    def _picture(self, pixels: torch.Tensor, is_byte: bool) -> np.ndarray:
        """Return a preprocessed image as it was before it was normalized."""
        outer = self.preprocessor
        preprocessor = getattr(outer, 'data_preprocessor', outer)
        if getattr(preprocessor, '_enable_normalize', False):
            pixels = pixels * preprocessor.std + preprocessor.mean
        image = pixels.permute(1, 2, 0).numpy()
        names = ('_channel_conversion', 'channel_conversion', 'exchange')
        is_exchanged = len(pixels) >= COLORS and any(getattr(preprocessor, name, False) for name in names)
        if is_byte or self.has_8_bits:
            image = np.clip(np.nan_to_num(image).round(), 0, 255).astype(np.uint8)
        return as_picture(image, is_bgr=not is_exchanged)


def _load_annotations_first(dataset: dict) -> None:
    """Load annotations where the image is loaded, so that what resizes the image resizes them.

    A test's pipeline resizes the image alone, and scores in the image's own size.
    """
    for leaf in leaf_datasets(dataset):
        pipeline = leaf.get('pipeline') or []
        loads = [step for step in pipeline if 'Annotations' in bare_type(step.get('type'))]
        images = [i for i, step in enumerate(pipeline) if bare_type(step.get('type')).startswith('LoadImage')]
        if loads and images:
            others = [step for step in pipeline if not any(step is load for load in loads)]
            leaf['pipeline'] = [*others[: images[-1] + 1], *loads, *others[images[-1] + 1 :]]


def _transforms(dataset: dict) -> list[str]:
    """Return the names of the transforms of a dataset and of its wrappers, in the order of their use."""
    inner = leaf_datasets(dataset)[0]
    pipelines = [inner.get('pipeline') or []]
    while dataset is not inner and 'dataset' in dataset:
        # That of a wrapper comes last.
        pipelines.insert(1, dataset.get('pipeline') or [])
        dataset = dataset['dataset']
    return [bare_type(step.get('type')) for pipeline in pipelines for step in pipeline]


def _values(node: object, name: str) -> Iterator[object]:
    if isinstance(node, dict):
        if name in node:
            yield node[name]
        node = list(node.values())
    if isinstance(node, list | tuple):
        for part in node:
            yield from _values(part, name)


def _classes(metainfo: dict) -> tuple[list[str], list[tuple[int, ...]]]:
    classes = [str(name) for name in metainfo.get('classes') or ()]
    palette = metainfo.get('palette')
    if not isinstance(palette, list | tuple) or len(palette) < len(classes):
        palette = make_palette(len(classes))
    return classes, [tuple(int(part) for part in color) for color in palette]


def _objects(instances: Any, shape: tuple[int, int], is_ignored: bool) -> Iterator[FedObject]:  # noqa: ANN401
    if instances is None or 'bboxes' not in instances:
        return
    boxes = instances.bboxes
    boxes = getattr(boxes, 'tensor', boxes).numpy().reshape(-1, 4)
    masks = instances.masks.to_ndarray() if 'masks' in instances else [None] * len(boxes)
    for box, label, mask in zip(boxes, instances.labels.tolist(), masks, strict=True):
        left, top, right, bottom = box.tolist()
        fitted = None if mask is None else _fit(mask.astype(bool), shape, False)
        yield FedObject((left, top, right, bottom), label, fitted, is_ignored)


def _label_map(sample: BaseDataElement, shape: tuple[int, int], ignored: int, classes: int) -> np.ndarray | None:
    found = sample.get('gt_sem_seg')
    if found is None:
        return None
    # mmseg's name of it, and mmdet's.
    values = found.get('data', found.get('sem_seg')).numpy().reshape(-1, *found.shape[-2:])[0].astype(np.int64)
    values[(values == ignored) | (values < 0) | (values >= classes)] = IGNORED
    return _fit(values, shape, IGNORED)


def _fit(values: np.ndarray, shape: tuple[int, int], padding: int) -> np.ndarray:
    """Return a map with an image's shape: cut, or padded, to the right and below."""
    fitted = np.full(shape, padding, values.dtype)
    part = values[: shape[0], : shape[1]]
    fitted[: part.shape[0], : part.shape[1]] = part
    return fitted


def _remarks(sample: BaseDataElement, pixels: torch.Tensor, shape: tuple[int, int], branch: str) -> Iterator[str]:
    if branch:
        yield branch
    height, width = sample.get('ori_shape', shape)[:2]
    fed = f'{shape[1]}x{shape[0]} px'
    yield fed if (height, width) == shape else f'{width}x{height} to {fed}'
    if sample.get('flip'):
        yield f'flipped {sample.get("flip_direction") or "horizontal"}ly'
    if len(pixels) not in (1, COLORS):
        yield f'{min(len(pixels), COLORS) if len(pixels) > COLORS else 1} of {len(pixels)} channels'


def resize(values: np.ndarray, size: tuple[int, int], is_smooth: bool = True) -> np.ndarray:
    """Return an image or a map in another size.

    Args:
        values: The image, or the map.
        size: The new width and height.
        is_smooth: Whether values are mixed; those of a map are not.

    Example:
        >>> resize(np.zeros((4, 4, 3), np.uint8), (16, 8)).shape
        (8, 16, 3)
    """
    if not is_smooth:
        return cv2.resize(values, size, interpolation=cv2.INTER_NEAREST)
    is_smaller = size[0] < values.shape[1]
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC)
