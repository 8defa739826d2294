"""Training batches of generated images with COCO's and ADE20K's sizes, through the config's own pipeline."""

import inspect
import json
import math
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from mmdet.datasets import CocoDataset, CocoPanopticDataset
from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS
from mmseg.datasets import BaseSegDataset
from numpy.random import Generator

from convnext_dense.config.tree import bare_type, innermost_dataset
from convnext_dense.errors import UsageError

# Height and width. COCO's longer side is 640 pixels; the shorter side of ADE20K's benchmark is at least 512.
COCO_SIZES = ((480, 640), (427, 640), (640, 480), (640, 427), (640, 640), (360, 640))
ADE_SIZES = ((512, 683), (512, 768), (683, 512), (768, 1024))
# Lin et al., "Microsoft COCO: Common Objects in Context" (2014): 7.7 instances per image.
INSTANCES_PER_IMAGE = 7.7
# Range of an instance's sides in pixels. Their logarithm is uniform.
SIDES = (6, 300)
# Regions of a segmentation map.
REGIONS = 20
CORNERS = 16
PACKING_TRANSFORMS = ('PackDetInputs', 'PackSegInputs')
# Smaller images are smaller than a backbone's stride.
MIN_SCALE, MAX_SCALE = 0.1, 10.0


def use_synthetic_data(
    cfg: Config,
    folder: str | Path,
    count: int = 64,
    seed: int = 0,
    split: str = 'train',
    sizes: Sequence[tuple[int, int]] = ADE_SIZES,
) -> None:
    """Write a small dataset, and make the config read it with its own dataset class, pipeline and samplers.

    The shapes, crops and padding of the batches are then the recipe's, including mosaic and copy-paste.

    Args:
        cfg: The config, which is changed.
        folder: An empty folder for the dataset.
        count: Number of images.
        seed: Seed of the images.
        split: 'train' or 'test'.
        sizes: Heights and widths of a segmenter's images, in turn.

    Raises:
        UsageError: If the config's dataset is neither in COCO's layout nor one of mmseg's.
    """
    folder = Path(folder)
    dataset = innermost_dataset(cfg[f'{split}_dataloader'].dataset)
    with DATASETS.switch_scope_and_registry(cfg.default_scope) as registry:
        kind = registry.get(dataset.type)
    rng = np.random.default_rng(seed)
    (folder / 'images').mkdir(parents=True)
    if kind and issubclass(kind, CocoDataset) and not issubclass(kind, CocoPanopticDataset):
        _write_coco(folder, _classes(dataset, kind), count, rng)
        dataset.update(ann_file='annotations.json', data_prefix=dict(img='images/'))
    elif kind and issubclass(kind, BaseSegDataset):
        suffixes = [
            _argument(dataset, kind, *option) for option in (('img_suffix', '.jpg'), ('seg_map_suffix', '.png'))
        ]
        _write_maps(folder, len(_classes(dataset, kind)), count, rng, sizes, *suffixes)
        dataset.update(ann_file='', data_prefix=dict(img_path='images', seg_map_path='maps'))
    else:
        raise UsageError(
            f"{split}_dataloader.dataset: batches can be generated for instances in COCO's layout and for mmseg's "
            f"datasets, not for {dataset.type}; use --with-data, which reads the config's own data."
        )
    dataset.data_root = str(folder)


def scale_images(cfg: Config, factor: float) -> None:
    """Resize what the training pipeline returns, and what a segmenter pads its batches to.

    Args:
        cfg: The config, which is changed.
        factor: Factor of height and width.

    Raises:
        UsageError: If the pipeline does not end in packing.
    """
    if not MIN_SCALE <= factor <= MAX_SCALE:
        raise UsageError(f'scale: must be from {MIN_SCALE} to {MAX_SCALE}; got {factor}.')
    dataset = cfg.train_dataloader.dataset
    # A wrapper such as MultiImageMixDataset has a pipeline of its own, the last one.
    while 'pipeline' not in dataset and 'dataset' in dataset:
        dataset = dataset.dataset
    *others, pack = dataset.get('pipeline') or [dict(type=None)]
    if bare_type(pack['type']) not in PACKING_TRANSFORMS:
        allowed = ' or '.join(PACKING_TRANSFORMS)
        raise UsageError(f'scale: the training pipeline must end in {allowed}; it ends in {pack["type"]}.')
    scope = 'mmdet.' if cfg.default_scope == 'mmdet' else ''
    dataset.pipeline = [*others, dict(type=f'{scope}Resize', scale_factor=factor, keep_ratio=True), pack]
    preprocessor = cfg.model.get('data_preprocessor') or {}
    if preprocessor.get('size'):
        preprocessor.size = tuple(math.ceil(side * factor) for side in preprocessor.size)


def take_batches(loader: Iterable[dict], count: int) -> list[dict]:
    """Return `count` batches of a loader, which is restarted as often as needed.

    Example:
        >>> take_batches([dict(inputs=[0]), dict(inputs=[1])], 3)
        [{'inputs': [0]}, {'inputs': [1]}, {'inputs': [0]}]
    """
    batches: list[dict] = []
    while len(batches) < count:
        before = len(batches)
        batches += islice(loader, count - before)
        if len(batches) == before:
            raise UsageError('train_dataloader: it yields no batch; its dataset has fewer images than a batch.')
    return batches


def padded_shape(batch: dict, divisor: int = 1) -> tuple[int, int, int]:
    """Return a batch's number of images, and the height and width that they are padded to.

    Args:
        batch: A batch of a dataloader.
        divisor: What height and width are made divisible by.

    Example:
        >>> import torch
        >>> padded_shape(dict(inputs=[torch.zeros(3, 100, 200), torch.zeros(3, 120, 160)]), 32)
        (2, 128, 224)
    """
    heights, widths = zip(*(image.shape[-2:] for image in batch['inputs']), strict=True)
    return len(heights), *(math.ceil(max(sides) / divisor) * divisor for sides in (heights, widths))


def _classes(dataset: ConfigDict, kind: type) -> tuple[str, ...]:
    metainfo = {**kind.METAINFO, **(dataset.get('metainfo') or {})}
    if 'classes' not in metainfo:
        raise UsageError(f'train_dataloader.dataset: {dataset.type} has no metainfo.classes to draw.')
    classes = metainfo['classes']
    return (classes,) if isinstance(classes, str) else tuple(classes)


def _argument(dataset: ConfigDict, kind: type, name: str, default: str) -> str:
    """Return an argument of the dataset: the config's, or the default of its class."""
    parameter = inspect.signature(kind.__init__).parameters.get(name)
    own = default if parameter is None or parameter.default is parameter.empty else parameter.default
    return dataset.get(name, own)


def _image(rng: Generator, height: int, width: int) -> np.ndarray:
    coarse = rng.integers(256, size=(height // 16, width // 16, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _outline(rng: Generator, height: int, width: int) -> np.ndarray:
    """Return the corners of a rough ellipse within the image, (CORNERS, 2)."""
    sides = np.exp(rng.uniform(*np.log(SIDES), size=2)).clip(max=(width * 0.9, height * 0.9))
    middle = rng.uniform(sides / 2, np.array([width, height]) - sides / 2)
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    radii = rng.uniform(0.8, 1.0, size=(CORNERS, 1)) * sides / 2
    return middle + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _regions(rng: Generator, height: int, width: int) -> np.ndarray:
    """Return the number of each pixel's region, (height, width): that of the nearest of some points."""
    is_elsewhere = np.ones((height, width), np.uint8)
    is_elsewhere[rng.integers(height, size=REGIONS), rng.integers(width, size=REGIONS)] = 0
    return cv2.distanceTransformWithLabels(is_elsewhere, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1]


def _write_coco(folder: Path, classes: tuple[str, ...], count: int, rng: Generator) -> None:
    images, annotations = [], []
    for image_id in range(1, count + 1):
        height, width = COCO_SIZES[image_id % len(COCO_SIZES)]
        image = _image(rng, height, width)
        for _ in range(1 + rng.poisson(INSTANCES_PER_IMAGE - 1)):
            corners = _outline(rng, height, width)
            cv2.fillPoly(image, [corners.round().astype(np.int32)], rng.integers(256, size=3).tolist())
            left, top = corners.min(axis=0)
            sides = corners.max(axis=0) - (left, top)
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=1 + int(rng.integers(len(classes))),
                    iscrowd=0,
                    bbox=[left, top, *sides],
                    area=cv2.contourArea(corners.astype(np.float32)),
                    segmentation=[corners.flatten().tolist()],
                )
            )
        name = f'{image_id:06d}.jpg'
        cv2.imwrite(str(folder / 'images' / name), image)
        images.append(dict(id=image_id, file_name=name, height=height, width=width))
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(classes)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (folder / 'annotations.json').write_text(json.dumps(content))


def _write_maps(
    folder: Path,
    num_classes: int,
    count: int,
    rng: Generator,
    sizes: Sequence[tuple[int, int]],
    image_suffix: str,
    map_suffix: str,
) -> None:
    (folder / 'maps').mkdir()
    for i in range(count):
        height, width = sizes[i % len(sizes)]
        classes = rng.integers(num_classes, size=REGIONS + 1, dtype=np.uint8)[_regions(rng, height, width)]
        cv2.imwrite(str(folder / 'images' / f'{i:06d}{image_suffix}'), _image(rng, height, width))
        cv2.imwrite(str(folder / 'maps' / f'{i:06d}{map_suffix}'), classes)
