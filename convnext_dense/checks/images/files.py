"""Finds images that cannot be read, or are not what the loader takes them for."""

import os
from collections.abc import Iterator

import numpy as np
from mmengine.registry import DefaultScope

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.images.channels import ChannelsCheck
from convnext_dense.checks.images.samples import Sample, loaded_samples, spread
from convnext_dense.checks.images.small_images import small_image_fault
from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
from convnext_dense.datasets.images.checked_image import CheckedImage
from convnext_dense.datasets.images.image_faults import (
    lost_channel,
    read_header,
    squeezed_levels,
    unclear_orientation,
    unseen_orientation,
)
from convnext_dense.datasets.images.orientation import SIDEWAYS, UPRIGHT, orientation
from convnext_dense.errors import UsageError


def find_image_faults(plan: RunPlan) -> Iterator[Finding]:
    """Yield what is wrong with the images that a run reads.

    Args:
        plan: The run.
    """
    for dataset, loader, samples in loaded_samples(plan, 'mmcv.LoadImageFromFile'):
        with DefaultScope.overwrite_default_scope(plan.cfg.default_scope):
            yield from _Images(plan, dataset, loader).findings(samples)


IMAGES = Check('images', 'images: their files, sizes, orientations, depths and channels', find_image_faults)


class _Images:
    """Reads a sample of a dataset's images.

    Args:
        plan: The run.
        dataset: The dataset.
        loader: The config of the transform that loads its images.
    """

    def __init__(self, plan: RunPlan, dataset: PlannedDataset, loader: dict) -> None:
        self.plan, self.dataset = plan, dataset
        self.load = CheckedImage(loader)
        self.channels = ChannelsCheck(plan, dataset)
        # By kind: sentences, of which the first is shown.
        self.errors: dict[str, list[str]] = {}
        self.warnings: dict[str, list[str]] = {}
        # Orientations by what the annotations say: 'stored', 'turned', or 'either' if the sizes cannot tell.
        self.turned: dict[str, list[str]] = dict(stored=[], turned=[], either=[])
        # Height and width of each image by its file.
        self.sizes: dict[str, tuple[int, int]] = {}

    def findings(self, samples: list[Sample]) -> Iterator[Finding]:
        """Yield what is wrong with these images."""
        for sample in spread(samples):
            if not os.path.exists(sample.image):
                # The check `files` says it.
                continue
            try:
                self._read(sample)
            except UsageError as error:
                # A distillation goes on without some of its images.
                if not self.dataset.has_images_alone:
                    self._add(self.errors, 'image', str(error))
        self._judge_orientations()
        fault = small_image_fault(self.plan, self.dataset, self.sizes)
        if fault:
            self._add(self.errors, 'small', fault)
        for sentences, is_error in ((self.errors, True), (self.warnings, False)):
            for found in sentences.values():
                more = f' (and {len(found) - 1} more)' if len(found) > 1 else ''
                yield Finding(f'{self.dataset.key}: {found[0].rstrip(".")}{more}.', is_error)

    def _add(self, where: dict[str, list[str]], kind: str, sentence: str) -> None:
        if self.dataset.has_images_alone:
            # Its teacher takes no other images, whatever the loader.
            fault, mark, _ = sentence.rpartition('; ')
            sentence = f'{fault}; convert the images to 3 channels of 8 bits' if mark else sentence
        where.setdefault(kind, []).append(sentence)

    def _read(self, sample: Sample) -> None:
        header = read_header(sample.image)
        height, width = sample.size or (None, None)
        results = self.load(dict(img_path=sample.image, height=height, width=width))
        if results is None:
            # The loader is configured to leave out what it cannot read.
            return
        image = results['img']
        self.sizes[sample.image] = image.shape[:2]
        tag = orientation(sample.image)
        if tag != UPRIGHT:
            self._note_orientation(sample, tag, header.size, results['ori_shape'])
        fault = self.channels.fault(image)
        if fault:
            self._add(self.errors, 'channels', f'{sample.image}: {fault}')
        if header.bits == 16 and image.dtype == np.uint8 and (squeezed := squeezed_levels(sample.image, image)):
            self._add(self.warnings, 'levels', squeezed)
        if header.mode == 'RGBA' and image.ndim == 3 and image.shape[2] == 3 and (lost := lost_channel(sample.image)):
            self._add(self.warnings, 'fourth', lost)

    def _note_orientation(self, sample: Sample, tag: int, stored: tuple[int, int] | None, loaded: tuple) -> None:
        if not self.load.loader.color_type.startswith(('color', 'grayscale')) or sample.size is None:
            return
        if tag not in SIDEWAYS or stored is None or stored[0] == stored[1]:
            self.turned['either'].append(sample.image)
        else:
            self.turned['stored' if tuple(loaded) == stored else 'turned'].append(sample.image)

    def _judge_orientations(self) -> None:
        stored, either = self.turned['stored'], self.turned['either']
        if self.load.loader.color_type.endswith('_ignore_orientation'):
            return
        if stored:
            self.warnings['stored'] = [unseen_orientation(file) for file in stored]
        if either and not self.turned['turned']:
            self.warnings['either'] = [unclear_orientation(file) for file in either]
