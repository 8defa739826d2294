"""Writes a cleaned copy of a dataset of images and label maps."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from convnext_dense.datasets.checker.findings import DataReport
from convnext_dense.datasets.checker.splits import LabelSplit
from convnext_dense.datasets.images.image_faults import any_size
from convnext_dense.datasets.label_maps.label_faults import layout_fault
from convnext_dense.datasets.label_maps.label_rules import LARGEST
from convnext_dense.datasets.mending.changes import Changes, link, note_unread
from convnext_dense.datasets.mending.mend_objects import refuse_guesses
from convnext_dense.errors import UsageError

# Faults of a pair by which it cannot be used, of its image and of its label map.
UNUSABLE = (
    'image-missing',
    'image-unreadable',
    'image-truncated',
    'image-too-large',
    'map-missing',
    'map-unreadable',
    'map-size',
    'map-ignored',
)
# Files that are in no pair.
INCOMPLETE = ('map-missing', 'image-of-map-missing')
JPEG_ENDINGS = ('.jpg', '.jpeg')


def mend_labels(report: DataReport, splits: Sequence[LabelSplit], out: Path) -> Changes:
    """Write ``images/SPLIT``, ``annotations/SPLIT`` and ``classes.txt``.

    Args:
        report: What was found.
        splits: The splits.
        out: A new folder.

    Returns:
        What was changed.

    Raises:
        UsageError: If there is an error that cannot be mended without guessing.
    """
    refuse_guesses(report)
    changes = Changes()
    note_unread(report, changes)
    by_file: dict[str, set[str]] = defaultdict(set)
    for finding in report.findings:
        by_file[finding.file].add(finding.kind)
    paired = {file for split in splits for pair in split.pairs for file in pair}
    for finding in report.findings:
        if finding.kind in INCOMPLETE and finding.file not in paired:
            changes.add(finding.split, 'left out', 'file', finding.kind, finding.file)
    copies = _copies_of_others(report, splits)
    for split in splits:
        names: set[str] = set()
        for image, file in split.pairs:
            kinds = by_file[image] | by_file[file]
            reason = next((kind for kind in UNUSABLE if kind in kinds), '')
            reason = 'image-in-two-splits' if image in copies and split.is_training and not reason else reason
            labels = None if reason else _labels(split, file, kinds)
            if reason or isinstance(labels, str):
                changes.add(split.name, 'left out', 'image', reason or str(labels), image)
                continue
            name = _name(image, names)
            folder = split.name.replace(' ', '_')
            target = out / 'annotations' / folder / f'{name}.png'
            link(image, out / 'images' / folder / f'{name}{_ending(image)}')
            if labels is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(labels).save(target)
                for kind in sorted(kinds & {'map-layout', 'map-values', 'map-lossy'}):
                    changes.add(split.name, 'wrote again', 'label map', kind, file)
            else:
                link(file, target)
        if not names:
            raise UsageError(f'fix: nothing of {split.name} can be used.')
    if splits[0].classes:
        (out / 'classes.txt').write_text(''.join(f'{name}\n' for name in splits[0].classes), encoding='utf-8')
    return changes


def _labels(split: LabelSplit, file: str, kinds: set[str]) -> np.ndarray | str | None:
    """Return a label map that is to be written, the fault that keeps it from being used, or None if it is good."""
    is_png = file.lower().endswith('.png')
    if is_png and kinds.isdisjoint({'map-layout', 'map-values', 'map-lossy'}):
        return None
    with any_size(), Image.open(file) as opened:
        labels = np.asarray(opened)
    if labels.ndim == 3:
        if any((labels[..., i] != labels[..., 0]).any() for i in range(1, min(labels.shape[2], 3))):
            return 'map-layout'
        labels = labels[..., 0]
    # Values of more than 8 bits are no classes.
    values = labels.astype(np.int64)
    labels = np.where((values < 0) | (values > LARGEST), LARGEST, values).astype(np.uint8)
    if layout_fault(labels):
        return 'map-layout'
    ignored = LARGEST if split.rules.is_ignored[LARGEST] else split.rules.ignore_index
    return np.where(split.rules.is_beyond[labels], ignored, labels).astype(np.uint8)


def _copies_of_others(report: DataReport, splits: Sequence[LabelSplit]) -> set[str]:
    """Return the images of training splits that other splits have, too."""
    training = {image for split in splits if split.is_training for image, _ in split.pairs}
    found = set()
    for finding in report.findings:
        if finding.kind == 'image-in-two-splits':
            found |= {finding.file, finding.other} & training
    return found


def _ending(image: str) -> str:
    ending = Path(image).suffix.lower()
    return JPEG_ENDINGS[0] if ending in JPEG_ENDINGS else ending


def _name(image: str, names: set[str]) -> str:
    """Return a name for an image that none has yet: its own, or with that of its folder."""
    path = Path(image)
    name = path.stem if path.stem not in names else f'{path.parent.name}_{path.stem}'
    while name in names:
        name += '_'
    names.add(name)
    return name
