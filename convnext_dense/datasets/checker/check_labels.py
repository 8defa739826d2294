"""Checks a dataset of images and label maps."""

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from convnext_dense.datasets.checker.class_rules import find_in_classes
from convnext_dense.datasets.checker.findings import DataFinding, DataReport
from convnext_dense.datasets.checker.image_facts import ImageFacts, Progress, in_processes, read_image_facts
from convnext_dense.datasets.checker.image_rules import SplitImages, find_copies
from convnext_dense.datasets.checker.kinds import ERROR, WARNING
from convnext_dense.datasets.checker.label_values import Histogram, count_values, find_in_values
from convnext_dense.datasets.checker.splits import LabelSplit
from convnext_dense.datasets.images.file_faults import unreadable
from convnext_dense.datasets.images.image_faults import any_size
from convnext_dense.datasets.label_maps.label_faults import as_bytes, layout_fault, other_size, value_fault, value_hint
from convnext_dense.regular_files import read_bytes


@dataclass(frozen=True)
class MapFacts:
    """What a label map's file is.

    Args:
        kind: The kind of fault that keeps it from being read; '' if it can be.
        detail: The sentence on that fault.
        pixels: How many pixels it has of each value of 8 bits.
        is_jpeg: Whether it is a JPEG.
        other_size: The sentence on its size; '' if it has its image's.
    """

    kind: str = ''
    detail: str = ''
    pixels: np.ndarray | None = None
    is_jpeg: bool = False
    other_size: str = ''


def read_map_facts(pair: tuple[str, str]) -> MapFacts:
    """Read a label map, and return what it is.

    Args:
        pair: Its image and its file.

    Example:
        >>> read_map_facts(('a.jpg', 'no-such.png')).kind
        'map-missing'
    """
    image, file = pair
    if not os.path.exists(file):
        return MapFacts('map-missing', str(unreadable(file, FileNotFoundError())))
    try:
        data = read_bytes(file)
        # As mmseg's loader does.
        with any_size(), Image.open(io.BytesIO(data)) as opened:
            decoded = np.asarray(opened)
    except Exception as error:  # noqa: BLE001 - decoders raise anything
        return MapFacts('map-unreadable', str(unreadable(file, error)))
    is_jpeg = data.startswith(b'\xff\xd8')
    if fault := layout_fault(decoded):
        return MapFacts('map-layout', f'{file}: {fault}', is_jpeg=is_jpeg)
    label_map = as_bytes(decoded)
    return MapFacts(
        pixels=count_values(label_map), is_jpeg=is_jpeg, other_size=other_size(image, file, label_map.shape) or ''
    )


def check_labels(
    place: str,
    splits: Sequence[LabelSplit],
    reads_images: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
    found: Sequence[DataFinding] = (),
) -> DataReport:
    """Check every image and label map of a dataset.

    Args:
        place: The dataset, as it was named.
        splits: Its splits.
        reads_images: Whether to read the images, or their label maps alone.
        workers: How many processes read files; by default as many as there are cores.
        progress: Shows how far it is, as in `in_processes`.
        found: What was found before.

    Example:
        >>> from convnext_dense.datasets.label_maps.label_rules import LabelRules
        >>> split = LabelSplit('train', [('a.jpg', 'a.png')], ('sky', 'road'), LabelRules(2))
        >>> [finding.kind for finding in check_labels('street', [split]).findings]
        ['map-missing', 'image-missing']
    """
    report = DataReport(place, {}, list(found))
    pairs = list(dict.fromkeys(pair for split in splits for pair in split.pairs))
    maps = dict(zip(pairs, in_processes(read_map_facts, pairs, workers, progress, 'label maps'), strict=True))
    counts, classes, files, images = {}, {}, {}, {}
    for split in splits:
        checked = _CheckedLabels(split, [maps[pair] for pair in split.pairs])
        report.findings += checked.findings
        counts[split.name], classes[split.name] = checked.maps_with, _named(split.classes)
        files[split.name] = os.path.dirname(split.pairs[0][1]) if split.pairs else place
        report.splits[split.name] = checked.facts
        images[split.name] = SplitImages(split.name, split.color_type)
        if not split.pairs:
            report.findings.append(DataFinding('no-images', place, 'no pair of an image and a label map', split.name))
    training = [split.name for split in splits if split.is_training]
    report.findings += find_in_classes(classes, counts, files, training)
    if not reads_images:
        report.findings += [
            DataFinding('image-missing', image, 'there is no such file', split.name)
            for split in splits
            for image, _ in split.pairs
            if not os.path.exists(image)
        ]
        return report
    names = list(dict.fromkeys(image for image, _ in pairs))
    facts = dict(zip(names, in_processes(read_image_facts, names, workers, progress, 'images'), strict=True))
    for split in splits:
        report.findings += _find_in_images(split, images[split.name], facts)
        report.splits[split.name] |= images[split.name].facts
    report.findings += find_copies({name: split.seen for name, split in images.items()})
    return report


def _named(classes: Sequence[str]) -> list[str]:
    """Return the classes, none if they are named by their values, of which one may well be left out."""
    return [] if all(name == f'class {i}' for i, name in enumerate(classes)) else list(classes)


def _find_in_images(split: LabelSplit, images: SplitImages, facts: dict[str, ImageFacts]) -> Iterator[DataFinding]:
    for image, _ in split.pairs:
        if facts[image].fault == 'image-missing':
            yield DataFinding('image-missing', image, facts[image].detail, split.name)
        # A label map is turned with its image, if it has to be.
        yield from images.find(facts[image], None, None)
    yield from images.find_in_all()


class _CheckedLabels:
    """The label maps of a split, and what is wrong with them.

    Args:
        split: The split.
        maps: What was read of its label maps.
    """

    def __init__(self, split: LabelSplit, maps: Sequence[MapFacts]) -> None:
        self.split = split
        self.histogram = Histogram()
        self.findings: list[DataFinding] = []
        self.maps_with = dict.fromkeys(split.classes, 0)
        for (image, file), facts in zip(split.pairs, maps, strict=True):
            self._look(image, file, facts)
        if not any(finding.kind == 'map-values' for finding in self.findings):
            self._look_at_all()

    @property
    def facts(self) -> dict:
        """What the split has."""
        total = int(self.histogram.pixels.sum()) or 1
        shares = {}
        for value in self.histogram.values:
            label = int(self.split.rules.table[value])
            if not self.split.rules.is_ignored[value] and label < len(self.split.classes):
                name = self.split.classes[label]
                shares[name] = shares.get(name, 0) + float(self.histogram.pixels[value]) / total
        return dict(
            images=len(self.split.pairs),
            label_maps=self.histogram.maps,
            classes={name: f'{share:.1%}' for name, share in sorted(shares.items(), key=lambda item: -item[1])},
        )

    def _look(self, image: str, file: str, facts: MapFacts) -> None:
        rules = self.split.rules
        if facts.is_jpeg:
            self._add('map-lossy', image, file, '')
        if facts.kind or facts.pixels is None:
            self._add(facts.kind, '' if facts.kind == 'map-missing' else image, file, facts.detail)
            return
        if facts.other_size:
            self._add('map-size', image, file, facts.other_size)
        values = self.histogram.add_pixels(facts.pixels)
        if rules.beyond(values):
            detail = f'{value_fault(values, rules)}{value_hint(values, rules, facts.is_jpeg)}'
            self._add('map-values', image, file, detail)
        elif all(rules.is_ignored[value] for value in values):
            self._add('map-ignored', image, file, rules.meaning)
        labels = {int(rules.table[value]) for value in values if not rules.is_ignored[value]}
        for label in labels:
            if label < len(self.split.classes):
                self.maps_with[self.split.classes[label]] += 1

    def _look_at_all(self) -> None:
        is_ignored = any(finding.kind == 'map-ignored' for finding in self.findings)
        split = self.split
        for sentence, is_error in find_in_values(self.histogram, split.rules, split.classes, split.is_public):
            if is_error or not is_ignored:
                place = os.path.dirname(split.pairs[0][1])
                level = ERROR if is_error else WARNING
                self.findings.append(DataFinding('map-shifted', place, sentence, split.name, level=level))

    def _add(self, kind: str, image: str, file: str, detail: str) -> None:
        self.findings.append(DataFinding(kind, file, detail, self.split.name, image=image))
