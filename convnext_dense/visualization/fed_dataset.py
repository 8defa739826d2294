"""Reads a dataset as a model is fed it: after augmentation, and through the data preprocessor."""

import copy
import io
from collections.abc import Collection, Iterator
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub
from mmengine.registry import DATASETS, MODELS, DefaultScope

from convnext_dense.build_errors import build_sentence, message_of
from convnext_dense.config.data.replace import make_palette
from convnext_dense.config.tree import bare_type, leaf_datasets
from convnext_dense.datasets.channels import exchanges_colors
from convnext_dense.datasets.checked_loading import check_dataset_while_loading, ignore_index
from convnext_dense.datasets.images.picture import as_picture
from convnext_dense.errors import UsageError
from convnext_dense.training.resuming.rng import kept_generators, seed_generators
from convnext_dense.visualization.fed_image import FedImage, fed_image

# What makes 8 bits of any image.
EIGHT_BITS = ('color', 'grayscale', 'color_ignore_orientation', 'grayscale_ignore_orientation')


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
                outer = MODELS.build(cfg.model.get('data_preprocessor') or dict(type='BaseDataPreprocessor'))
            except UsageError:
                raise
            except Exception as error:
                raise UsageError(build_sentence(error, cfg, self.key) or f'{self.key}: {message_of(error)}') from error
        # Semi-supervised detectors have one for all ways of augmentation.
        self.preprocessor: Any = getattr(outer, 'data_preprocessor', outer)
        loaders = [str(value) for value in _values(dataset, 'color_type')]
        self.has_8_bits = all(value in EIGHT_BITS for value in loaders)
        self.classes, self.colors = _classes(self.dataset.metainfo)
        kinds = [bare_type(leaf.get('type')) for leaf in leaf_datasets(dataset)]
        self.transforms = transforms
        self.ignored_name = 'crowd' if all(kind.startswith('Coco') for kind in kinds) else 'ignored'

    @property
    def normalization(self) -> str:
        """What the data preprocessor subtracts and divides by."""
        preprocessor = self.preprocessor
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
        with DefaultScope.overwrite_default_scope(self.scope), kept_generators():
            seed_generators(seed)
            try:
                packed = self.dataset[index]
            except UsageError:
                raise
            except Exception as error:
                raise UsageError(f'{self.key}: image {index} cannot be read: {message_of(error)}') from error
            # mmdet's batch augmentations draw a size every few steps.
            MessageHub.get_current_instance().update_info('iter', index)
            try:
                return [self._image(*branch) for branch in _branches(packed)]
            except UsageError:
                raise
            except Exception as error:
                raise UsageError(f'model.data_preprocessor: {message_of(error)}') from error

    def _image(self, branch: str, packed: dict) -> FedImage:
        pixels = packed['inputs']
        if not isinstance(pixels, torch.Tensor) or pixels.dim() != 3:
            raise UsageError(f'{self.key}: it gives several images at a time, such as those of a video.')
        is_byte = self.has_8_bits or pixels.dtype == torch.uint8
        with torch.no_grad():
            fed = self.preprocessor(pseudo_collate([packed]), self.split == 'train')
        picture = self._picture(fed['inputs'][0], is_byte)
        (sample,) = fed['data_samples']
        return fed_image(sample, picture, len(pixels), len(self.classes), self.ignore_index, branch)

    def _picture(self, pixels: torch.Tensor, is_byte: bool) -> np.ndarray:
        """Return a preprocessed image as it was before it was normalized."""
        preprocessor = self.preprocessor
        if getattr(preprocessor, '_enable_normalize', False):
            pixels = pixels * preprocessor.std + preprocessor.mean
        image = pixels.permute(1, 2, 0).numpy()
        if is_byte:
            image = np.clip(np.nan_to_num(image).round(), 0, 255).astype(np.uint8)
        return as_picture(image, is_bgr=not exchanges_colors(preprocessor))


def _branches(packed: dict) -> Iterator[tuple[str, dict]]:
    """Yield a sample; of mmdet's semi-supervised detectors each way that it is augmented in, by name."""
    inputs, samples = packed['inputs'], packed['data_samples']
    if not isinstance(inputs, dict):
        yield '', packed
        return
    for name, pixels in inputs.items():
        if pixels is not None:
            yield name, dict(inputs=pixels, data_samples=samples[name])


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


def _classes(metainfo: dict | list[dict]) -> tuple[list[str], list[tuple[int, ...]]]:
    if isinstance(metainfo, list):
        # That of each of mmdet's concatenated datasets.
        metainfo = metainfo[0]
    classes = [str(name) for name in metainfo.get('classes') or ()]
    palette = metainfo.get('palette')
    if not isinstance(palette, list | tuple) or len(palette) < len(classes):
        palette = make_palette(len(classes))
    return classes, [tuple(int(part) for part in color) for color in palette]
