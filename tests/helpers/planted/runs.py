"""Tiny runs whose data and config a test spoils: a detector on COCO's layout, a segmenter on ADE20K's."""

import copy
import functools
import json
from pathlib import Path

from hypothesis import strategies as st
from mmengine.config import Config, ConfigDict

from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.config import load_config
from helpers.demo_runs import DETECTOR, SEGMENTER

SIDE = 64
CLASSES = ('circle', 'square', 'star')


@functools.cache
def _config(path: Path) -> Config:
    return load_config(str(path))


class DetectorRun:
    """A detector's run.

    Args:
        root: An empty folder.
        data: Hypothesis' source of choices.

    Attributes:
        files: The annotation files by split, as JSON will hold them.
        cfg: The config.
    """

    def __init__(self, root: Path, data: st.DataObject) -> None:
        self.root = root
        self.data = data
        self.cfg = copy.deepcopy(_config(DETECTOR))
        self.files = {split: self._coco(split) for split in ('train', 'val')}
        for split in ('train', 'val'):
            dataset = self.cfg[f'{split}_dataloader'].dataset
            dataset.data_root = str(root)
            dataset.metainfo = ConfigDict(classes=CLASSES, palette=[(1, 2, 3)] * 3)
        self.cfg.val_evaluator.ann_file = str(self.path('val'))
        self.cfg.model.roi_head.bbox_head.num_classes = len(CLASSES)
        self.cfg.model.roi_head.mask_head.num_classes = len(CLASSES)

    def path(self, split: str) -> Path:
        return self.root / 'annotations' / f'instances_{split}2017.json'

    def dataset(self, split: str) -> ConfigDict:
        return self.cfg[f'{split}_dataloader'].dataset

    def draw(self, strategy: st.SearchStrategy):
        return self.data.draw(strategy)

    def split(self) -> str:
        return self.draw(st.sampled_from(['train', 'val']))

    def pick(self, entries: list) -> dict:
        return self.draw(st.sampled_from(entries))

    def entry(self, kind: str = 'annotations') -> tuple[str, dict]:
        """Choose a file and one of its entries."""
        split = self.split()
        return self.path(split).name, self.pick(self.files[split][kind])

    def plan(self) -> RunPlan:
        """Write the files, and return what a training reads."""
        for split, content in self.files.items():
            self.path(split).parent.mkdir(parents=True, exist_ok=True)
            text = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.path(split).write_bytes(text)
        return RunPlan(self.cfg, ('train', 'val'))

    def _coco(self, split: str) -> dict:
        first_id = self.draw(st.integers(0, 2**60))
        as_text = self.draw(st.booleans())
        count = self.draw(st.integers(2, 4))
        folder = self.root / f'{split}2017'
        folder.mkdir(parents=True)
        images, annotations = [], []
        for i in range(count):
            image_id = str(first_id + i) if as_text else first_id + i
            images.append(dict(id=image_id, file_name=f'{split}{i}.jpg', height=SIDE, width=SIDE))
            (folder / f'{split}{i}.jpg').touch()
            for label in self.draw(st.lists(st.integers(1, 3), min_size=2, max_size=4)):
                annotations.append(self._annotation(len(annotations) + 1, image_id, label))
        categories = [dict(id=i, name=name) for i, name in enumerate(CLASSES, 1)]
        return dict(images=images, annotations=annotations, categories=categories)

    def _annotation(self, annotation_id: int, image_id: int | str, label: int) -> dict:
        x, y = self.draw(st.integers(0, 30)), self.draw(st.integers(0, 30))
        width, height = self.draw(st.integers(2, 30)), self.draw(st.integers(2, 30))
        box = [x, y, width, height]
        corners = [x, y, x + width, y, x + width, y + height, x, y + height]
        segmentation = [corners]
        if self.draw(st.booleans()):
            segmentation = dict(size=[SIDE, SIDE], counts=[0, 100, SIDE * SIDE - 100])
        return dict(
            id=annotation_id,
            image_id=image_id,
            category_id=label,
            bbox=box,
            area=width * height,
            iscrowd=0,
            segmentation=segmentation,
        )


class SegmenterRun:
    """A segmenter's run; arguments and attributes are those of `DetectorRun`."""

    def __init__(self, root: Path, data: st.DataObject) -> None:
        self.root = root
        self.data = data
        self.cfg = copy.deepcopy(_config(SEGMENTER))
        self.classes = self.cfg.train_dataloader.dataset.metainfo.classes
        self.names = [f'{i}' for i in range(data.draw(st.integers(2, 5)))]
        for split, folder in (('train', 'training'), ('val', 'validation')):
            self.cfg[f'{split}_dataloader'].dataset.data_root = str(root)
            for kind, suffix in (('images', '.jpg'), ('annotations', '.png')):
                (root / kind / folder).mkdir(parents=True)
                for name in self.names:
                    (root / kind / folder / f'{name}{suffix}').touch()

    def dataset(self, split: str) -> ConfigDict:
        return self.cfg[f'{split}_dataloader'].dataset

    def folder(self, kind: str, split: str) -> Path:
        return self.root / kind / dict(train='training', val='validation')[split]

    def draw(self, strategy: st.SearchStrategy):
        return self.data.draw(strategy)

    def split(self) -> str:
        return self.draw(st.sampled_from(['train', 'val']))

    def plan(self) -> RunPlan:
        return RunPlan(self.cfg, ('train', 'val'))
