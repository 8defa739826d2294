"""Counts what a segmenter finds in a validation."""

from typing import Any

import cv2
import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from convnext_dense.evaluation.errors.calibration import BINS, Reliability, reliability
from convnext_dense.evaluation.errors.label_maps import (
    DISTANCES,
    boundary_distance,
    class_ious,
    errors_by_distance,
    map_confusion,
)
from convnext_dense.evaluation.recording.record import ShownImage
from convnext_dense.evaluation.recording.shown_images import ShownImages

# How many pixels of an image are looked at for calibration, about, and up to which side maps are kept to be drawn.
PIXELS, SIDE = 4096, 640
# The label of pixels that do not count.
IGNORED = -1
# The boundary's band, in parts of the image's diagonal, as of Boundary IoU (https://arxiv.org/abs/2103.16562).
BAND = 0.02


class LabelMapRecorder:
    """Counts which class each pixel is taken for, and keeps a few label maps to draw.

    Args:
        count: How many images there are.
        classes: How many classes there are.
        ignore_index: The value of pixels that do not count.
    """

    def __init__(self, count: int, classes: int, ignore_index: int) -> None:
        self.classes, self.ignore_index = classes, ignore_index
        self.shown = ShownImages(count)
        self.scores: dict[int, float] = {}
        square = (classes, classes)
        self.arrays = dict(
            confusion=np.zeros(square, np.int64),
            boundary_confusion=np.zeros(square, np.int64),
            distances=np.zeros((2, len(DISTANCES) + 1), np.int64),
            reliability=np.zeros((3, BINS)),
        )

    def add(self, index: int, file: str, info: dict, sample: BaseDataElement) -> None:
        """Count an image.

        Args:
            index: Its number in the dataset.
            file: The image.
            info: What the dataset says of it.
            sample: Its predictions, and its label map.
        """
        truth, found = (_map(sample, name) for name in ('gt_sem_seg', 'pred_sem_seg'))
        truth = np.where((truth == self.ignore_index) | (truth >= self.classes), IGNORED, truth)
        confusion = map_confusion(truth, found, self.classes)
        near = boundary_distance(truth) <= max(BAND * float(np.hypot(*truth.shape)), 1)
        self.arrays['confusion'] += confusion
        self.arrays['boundary_confusion'] += map_confusion(truth[near], found[near], self.classes)
        self.arrays['distances'] += errors_by_distance(truth, found, self.classes)
        # With `argmax_first` in test_cfg, logits have no value for each pixel of the image.
        if 'seg_logits' in sample and sample.seg_logits.data.shape[1:] == truth.shape:
            bins = _reliability(sample.seg_logits.data, truth, found)
            self.arrays['reliability'] += np.stack([bins.count, bins.score, bins.correct])
        ious = class_ious(confusion)
        score = self.scores[index] = float(np.nanmean(ious)) if np.isfinite(ious).any() else -1.0
        maps = _reduced(truth), _reduced(found)
        self.shown.add(index, score, lambda: ShownImage(index, file, score, truth.shape, maps=maps))

    def state(self) -> dict[str, Any]:
        """Return all that was counted, for another process."""
        return dict(scores=self.scores, shown=self.shown.images(), arrays=self.arrays)

    def merge(self, state: dict[str, Any]) -> None:
        """Add what another process counted."""
        self.shown.merge(state['shown'])
        self.scores.update(state['scores'])
        for name, values in state['arrays'].items():
            self.arrays[name] = self.arrays[name] + values


def _map(sample: BaseDataElement, name: str) -> np.ndarray:
    values = sample.get(name).data
    values = values.cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    return values.reshape(values.shape[-2:]).astype(np.int64)


def _reliability(logits: Tensor, truth: np.ndarray, found: np.ndarray) -> Reliability:
    """Return how often pixels of a score are right, of a grid of pixels."""
    step = max(1, round((truth.size / PIXELS) ** 0.5))
    part = logits.detach()[:, ::step, ::step].float()
    if len(part) == 1:
        single = part.sigmoid()[0]
        score = torch.maximum(single, 1 - single)
    else:
        # What classifies masks gives sums of probabilities.
        shares = part / part.sum(dim=0).clamp(min=1e-12) if bool((part >= 0).all()) else part.softmax(dim=0)
        score = shares.max(dim=0).values
    own, other = truth[::step, ::step], found[::step, ::step]
    counts = own != IGNORED
    return reliability(score.cpu().numpy()[counts], (own == other)[counts])


def _reduced(label_map: np.ndarray) -> np.ndarray:
    height, width = label_map.shape
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(label_map.astype(np.int16), size, interpolation=cv2.INTER_NEAREST)
