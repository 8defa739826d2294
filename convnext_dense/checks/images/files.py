"""Finds images that cannot be read, or are not what the loader takes them for."""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from mmengine.registry import DefaultScope
from PIL import Image

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.images.channels import ChannelsCheck
from convnext_dense.checks.images.samples import Sample, loaded_samples, spread
from convnext_dense.checks.images.small_images import small_image_fault
from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
from convnext_dense.datasets.checked_image import CheckedImage
from convnext_dense.datasets.orientation import SIDEWAYS, UPRIGHT, orientation
from convnext_dense.errors import UsageError
from convnext_dense.image_limit import PIXEL_LIMIT_VARIABLE

# A 16-bit image of which the loader keeps so few levels, and less than a quarter of them, is squeezed.
FEW_LEVELS = 64


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
        where.setdefault(kind, []).append(sentence)

    def _read(self, sample: Sample) -> None:
        size, mode, bits = _header(sample.image)
        height, width = sample.size or (None, None)
        results = self.load(dict(img_path=sample.image, height=height, width=width))
        if results is None:
            # The loader is configured to leave out what it cannot read.
            return
        image = results['img']
        self.sizes[sample.image] = image.shape[:2]
        tag = orientation(sample.image)
        if tag != UPRIGHT:
            self._note_orientation(sample, tag, size, results['ori_shape'])
        fault = self.channels.fault(image)
        if fault:
            self._add(self.errors, 'channels', f'{sample.image}: {fault}')
        if bits == 16 and image.dtype == np.uint8:
            self._compare_levels(sample.image, image)
        if mode == 'RGBA' and image.ndim == 3 and image.shape[2] == 3:
            self._look_at_fourth(sample.image)

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
            self.warnings['stored'] = [
                f'{file} is turned by its EXIF orientation, and its annotations are for the pixels as stored; it is '
                "read as stored; set color_type='color_ignore_orientation' in LoadImageFromFile for other tools"
                for file in stored
            ]
        if either and not self.turned['turned']:
            self.warnings['either'] = [
                f'{file} is turned by its EXIF orientation when it is read, and its size does not tell whether its '
                "annotations are; if they are not, set color_type='color_ignore_orientation' in LoadImageFromFile"
                for file in either
            ]

    def _compare_levels(self, file: str, image: np.ndarray) -> None:
        values = np.asarray(cv2.imread(file, cv2.IMREAD_UNCHANGED))
        levels, kept = len(np.unique(values)), len(np.unique(image))
        if kept < FEW_LEVELS and kept * 4 <= levels:
            sentence = (
                f'{file} has 16 bits and values from {values.min()} to {values.max()}, of which the loader keeps '
                f"{kept} levels of {levels}; set color_type='unchanged' in LoadImageFromFile, and mean, std and "
                'in_channels of the model to fit'
            )
            self._add(self.warnings, 'levels', sentence)

    def _look_at_fourth(self, file: str) -> None:
        """Warn of a fourth channel that is no mask of transparency, which is mostly 0 or 255."""
        image = cv2.imread(file, cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 3 or image.shape[2] != 4:
            return
        fourth = image[..., 3]
        opaque = 2 ** (8 * fourth.dtype.itemsize) - 1
        if np.isin(fourth, (0, opaque)).mean() < 0.5:
            sentence = f"{file} has a fourth channel, which the loader drops; set color_type='unchanged' to keep it"
            self._add(self.warnings, 'fourth', sentence)


def _header(file: str) -> tuple[tuple[int, int] | None, str, int]:
    """Return height and width, mode and bits of an image without decoding it. Raises UsageError if it is too large."""
    try:
        with open(file, 'rb') as stream:
            start = stream.read(26)
        with _any_size(), Image.open(file) as image:
            width, height = image.size
            mode = image.mode
    except Exception:  # noqa: BLE001 - decoders raise anything; another one may know the file
        return None, '', 8
    limit = int(os.environ.get(PIXEL_LIMIT_VARIABLE, 2**30))
    if width * height > limit:
        raise UsageError(
            f'{file}: the image has {width}x{height} = {width * height:,} pixels; more than {limit:,} are refused; '
            f'cut it into tiles, or set {PIXEL_LIMIT_VARIABLE}.'
        )
    # A PNG says its bits here; Pillow's modes do not.
    bits = start[24] if start.startswith(b'\x89PNG') and len(start) > 24 else 16 if mode.startswith('I') else 8
    return (height, width), mode, bits


@contextmanager
def _any_size() -> Generator[None]:
    """Make Pillow open images of any size, none of which is decoded here."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
