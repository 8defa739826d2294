"""Tiny datasets of a detector and of a segmenter, and what a run on them would read."""

import json
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from PIL import Image

from convnext_dense.checks import RunPlan

HEIGHT, WIDTH = 40, 56
CLASSES = ('sky', 'road', 'car')
SPLITS = {'train': 4, 'val': 2}


class SegmenterData:
    """Images and label maps in two folders, and their config. What is wrong with them is planted by changing it.

    Args:
        root: A folder.
        reduce_zero_label: Whether the maps count from 1.
    """

    def __init__(self, root: Path, reduce_zero_label: bool = False) -> None:
        self.root = root
        self.first = int(reduce_zero_label)
        rng = np.random.default_rng(0)
        for split, count in SPLITS.items():
            for folder in ('img', 'ann'):
                (root / folder / split).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                cv2.imwrite(str(self.image(i, split)), rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8))
                cv2.imwrite(str(self.map(i, split)), self.labels())
        loaders = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
        dataset = dict(
            type='BaseSegDataset',
            data_root=str(root),
            reduce_zero_label=reduce_zero_label,
            metainfo=dict(classes=CLASSES, palette=[[0, 0, 0], [9, 9, 9], [99, 99, 99]]),
            pipeline=[*loaders, dict(type='PackSegInputs')],
            # Serializing collects garbage, which takes half a second.
            serialize_data=False,
        )
        self.cfg = Config(
            dict(
                default_scope='mmseg',
                work_dir=str(root / 'work'),
                model=dict(
                    type='EncoderDecoder',
                    backbone=dict(type='convnext_dense.ConvNeXt'),
                    decode_head=dict(num_classes=len(CLASSES)),
                    data_preprocessor=dict(type='SegDataPreProcessor', mean=[1, 2, 3], std=[1, 2, 3]),
                ),
                train_dataloader=dict(dataset=self._of(dataset, 'train')),
                val_dataloader=dict(dataset=self._of(dataset, 'val')),
                val_evaluator=dict(type='IoUMetric'),
            )
        )

    def _of(self, dataset: dict, split: str) -> dict:
        return {**dataset, 'data_prefix': dict(img_path=f'img/{split}', seg_map_path=f'ann/{split}')}

    def labels(self, *values: int, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
        """Return a map with bands of these values, or of all classes."""
        values = values or tuple(range(self.first, self.first + len(CLASSES)))
        return np.resize(np.repeat(np.array(values), 7), shape).astype(np.uint8)

    def image(self, i: int = 0, split: str = 'train') -> Path:
        """The file of an image."""
        return self.root / 'img' / split / f'{i}.jpg'

    def map(self, i: int = 0, split: str = 'train') -> Path:
        """The file of a label map."""
        return self.root / 'ann' / split / f'{i}.png'

    def all_maps(self, *values: int) -> None:
        """Write these values to all maps."""
        for split, count in SPLITS.items():
            for i in range(count):
                cv2.imwrite(str(self.map(i, split)), self.labels(*values))

    def dataset(self, split: str = 'train') -> dict:
        """The config of a dataset."""
        return self.cfg[f'{split}_dataloader'].dataset

    def plan(self) -> RunPlan:
        """What a run would read."""
        return RunPlan(self.cfg, ('train', 'val'))


class DetectorData:
    """Images and a COCO file for each split, and their config.

    Args:
        root: A folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        rng = np.random.default_rng(0)
        pipeline = [
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs'),
        ]
        dataset = dict(
            type='CocoDataset',
            data_root=str(root),
            metainfo=dict(classes=('cell',)),
            pipeline=pipeline,
            serialize_data=False,
        )
        self.cfg = Config(
            dict(
                default_scope='mmdet',
                work_dir=str(root / 'work'),
                model=dict(
                    type='FasterRCNN',
                    backbone=dict(type='convnext_dense.ConvNeXt'),
                    data_preprocessor=dict(type='DetDataPreprocessor', mean=[1, 2, 3], std=[1, 2, 3]),
                ),
            )
        )
        for split, count in SPLITS.items():
            (root / split).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                cv2.imwrite(str(self.image(i, split)), rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8))
            self.write(split, {})
            self.cfg[f'{split}_dataloader'] = dict(
                dataset={**dataset, 'ann_file': f'{split}.json', 'data_prefix': dict(img=f'{split}/')}
            )

    def write(self, split: str, sizes: dict[int, tuple[int, int]]) -> None:
        """Write a split's annotations, in which some images have these heights and widths."""
        images, annotations = [], []
        for i in range(SPLITS[split]):
            height, width = sizes.get(i, (HEIGHT, WIDTH))
            images.append(dict(id=i + 1, file_name=f'{i}.jpg', height=height, width=width))
            box = dict(bbox=[4, 4, 12, 12], area=144, iscrowd=0)
            annotations.append(dict(id=i + 1, image_id=i + 1, category_id=1, **box))
        data = dict(images=images, annotations=annotations, categories=[dict(id=1, name='cell')])
        (self.root / f'{split}.json').write_text(json.dumps(data))

    def image(self, i: int = 0, split: str = 'train') -> Path:
        """The file of an image."""
        return self.root / split / f'{i}.jpg'

    def dataset(self, split: str = 'train') -> dict:
        """The config of a dataset."""
        return self.cfg[f'{split}_dataloader'].dataset

    def plan(self) -> RunPlan:
        """What a run would read."""
        return RunPlan(self.cfg, ('train', 'val'))


def turn_by_exif(file: Path, tag: int) -> None:
    """Give an image this EXIF orientation. Its pixels stay."""
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.open(file).save(file, exif=exif, quality=95)


def save(file: Path, array: np.ndarray, kind: str = 'PNG') -> None:
    """Write an array as an image of this kind, whatever the file's suffix says."""
    Image.fromarray(array).save(file, kind)
