"""Writes a cleaned copy of a dataset whose annotations are files of COCO's form."""

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from convnext_dense.datasets.checker.findings import DataReport
from convnext_dense.datasets.checker.kinds import ERROR, KINDS
from convnext_dense.datasets.checker.objects.object_check import CheckedObjects
from convnext_dense.datasets.images.image_faults import read_header
from convnext_dense.datasets.mending.as_stored import write_as_stored
from convnext_dense.datasets.mending.changes import Changes, link, note_unread
from convnext_dense.datasets.mending.mend_annotation import mend_annotation
from convnext_dense.errors import UsageError

# Faults of entries that are deleted.
DELETED = ('field', 'box', 'unknown-image', 'unknown-category', 'box-outside', 'mask-empty')
# Those of an image, by which it cannot be used.
UNUSABLE = ('image-missing', 'image-unreadable', 'image-truncated', 'image-too-large', 'image-size-differs')
# How the fault of an annotation begins that needs an id alone.
NO_ID = ("no 'id'", "'id'", 'id ')
# A description that fails because of other faults can be right in the copy.
FOLLOWING = ('data', 'config')


def refuse_guesses(report: DataReport) -> None:
    """Raise UsageError if there are errors that cannot be mended without guessing.

    Args:
        report: What was found.

    Example:
        >>> refuse_guesses(DataReport('pets'))
    """
    kinds = [
        kind
        for level, kind, _ in report.groups
        if level == ERROR and not KINDS[kind].is_mended and kind not in FOLLOWING
    ]
    is_following = any(KINDS[kind].is_mended for _, kind, _ in report.groups)
    if not kinds and report.has_errors and not is_following:
        sentence = next(finding.detail for finding in report.findings if finding.level == ERROR)
        raise UsageError(f'fix: it cannot be mended without guessing: {sentence}')
    if kinds:
        what = '; '.join(f'{KINDS[kind].title} ({KINDS[kind].remedy})' for kind in kinds)
        raise UsageError(f'fix: it cannot be mended without guessing: {what}.')


def mend_objects(report: DataReport, checked: Sequence[CheckedObjects], out: Path) -> Changes:
    """Write ``annotations/instances_SPLIT.json``, and links to the images in a folder of each split.

    Args:
        report: What was found.
        checked: The annotation files.
        out: A new folder.

    Returns:
        What was changed.

    Raises:
        UsageError: If there is an error that cannot be mended without guessing.
    """
    refuse_guesses(report)
    changes = Changes()
    note_unread(report, changes)
    for part in checked:
        _MendedSplit(part, report, checked, changes).write(out)
    return changes


class _MendedSplit:
    """The entries of a split, mended.

    Args:
        part: The annotation file.
        report: What was found in the dataset.
        checked: All annotation files.
        changes: Where to note what is changed.
    """

    def __init__(
        self, part: CheckedObjects, report: DataReport, checked: Sequence[CheckedObjects], changes: Changes
    ) -> None:
        self.part, self.changes = part, changes
        self.split = part.split.name
        self.content = json.loads(Path(part.file.path).read_text(encoding='utf-8'))
        # By noun and kind of fault: the places of the entries in the file.
        self.without_id: set[int] = set()
        self.faulty: dict[tuple[str, str], list[int]] = defaultdict(list)
        for file, fault in part.faults:
            rows = [file.origin(fault.noun, row) for row in fault.rows]
            if (fault.noun, fault.kind) == ('annotation', 'field') and fault.what.startswith(NO_ID):
                self.without_id |= set(rows)
            else:
                self.faulty[fault.noun, fault.kind] += rows
        self.of_files = {
            kind: {finding.id for finding in report.findings if finding.kind == kind and finding.split == self.split}
            for kind in (*UNUSABLE, 'image-name', 'exif-unseen', 'file-name-outside')
        }
        self.renamed = {
            finding.id: finding.image
            for finding in report.findings
            if finding.kind == 'image-name' and finding.split == self.split
        }
        self.copies = self._copies_of_others(checked)
        self.files: dict[str, str] = {}

    def write(self, out: Path) -> None:
        """Write the annotation file and the images."""
        categories = self._categories()
        images, new_ids = self._images()
        annotations = self._annotations(categories, images, new_ids)
        content = {
            **self.content,
            'images': list(images.values()),
            'annotations': annotations,
            'categories': [entry for entry in self.content['categories'] if categories.get(entry['id']) == entry['id']],
        }
        folder = out / self.split.replace(' ', '_')
        for image in content['images']:
            source, name = self.files[image['file_name']], image['file_name']
            is_turned = image['id'] in self.of_files['exif-unseen']
            if is_turned and write_as_stored(source, folder / name):
                self._note('saved without EXIF', 'image', 'exif-unseen', name)
            else:
                link(source, folder / name)
        file = out / 'annotations' / f'instances_{folder.name}.json'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content), encoding='utf-8')

    def _categories(self) -> dict:
        """Return the id that each category's gets: that of the first one of its name."""
        ids, firsts = {}, {}
        wrong = self._places('category', 'field')
        for row, category in enumerate(self.content['categories']):
            if row in wrong:
                self._note('deleted', 'category', 'field', category.get('id', row))
                continue
            first = firsts.setdefault(category['name'], category['id'])
            if first != category['id']:
                self._note('merged', 'category', 'duplicate-category-name', category['name'])
            ids[category['id']] = first
        return ids

    def _images(self) -> tuple[dict, dict]:
        """Return the images by their ids, and the ids that others become."""
        kept: dict = {}
        new_ids: dict = {}
        firsts: dict[str, dict] = {}
        several = self._ids_of_several_files()
        for row, image in enumerate(self.content['images']):
            image = dict(image)
            if not self._complete(row, image):
                continue
            i = image['id']
            reason = next((kind for kind in UNUSABLE if i in self.of_files[kind]), '')
            reason = 'duplicate-image-id' if i in several else reason
            reason = 'image-in-two-splits' if image['file_name'] in self.copies and not reason else reason
            if reason:
                self._note('left out', 'image', reason, image['file_name'])
                continue
            first = firsts.setdefault(image['file_name'], image)
            new_ids[i] = first['id']
            if first is not image:
                self._note('merged', 'image', 'duplicate-file-name', image['file_name'])
                continue
            kept[i] = self._named(image)
        return kept, new_ids

    def _complete(self, row: int, image: dict) -> bool:
        """Give an image its file's size if it has none; return whether it can be used."""
        no_size = row in self._places('image', 'image-size')
        if not no_size and row not in self._places('image', 'field'):
            return True
        named = isinstance(image.get('file_name'), str) and isinstance(image.get('id'), int | str)
        size = read_header(os.path.join(self.part.split.images, image['file_name'])).size if named else None
        kind = 'image-size' if no_size else 'field'
        if size is None:
            self._note('left out', 'image', kind, image.get('file_name', row))
            return False
        image['height'], image['width'] = size
        self._note('gave their size to', 'image', kind, image['file_name'])
        return True

    def _named(self, image: dict) -> dict:
        """Give an image the name of its file, and one that stays in the folder."""
        name = image['file_name']
        source = self.part.image_path(image)
        if image['id'] in self.of_files['image-name']:
            source = self.renamed[image['id']]
            image['file_name'] = os.path.join(os.path.dirname(name), os.path.basename(source))
            self._note('renamed', 'image', 'image-name', name)
        if image['id'] in self.of_files['file-name-outside']:
            image['file_name'] = os.path.basename(name)
            while image['file_name'] in self.files:
                image['file_name'] = f'{image["id"]}_{image["file_name"]}'
            self._note('renamed', 'image', 'file-name-outside', name)
        self.files[image['file_name']] = source
        return image

    def _annotations(self, categories: dict, images: dict, new_ids: dict) -> list[dict]:
        kept, ids = [], set()
        numbers = [entry['id'] for entry in self.content['annotations'] if type(entry.get('id')) is int]
        next_id = max(numbers, default=0) + 1
        kinds = defaultdict(list)
        for (noun, kind), rows in self.faulty.items():
            for row in rows if noun == 'annotation' else []:
                kinds[row].append(kind)
        for row, entry in enumerate(self.content['annotations']):
            found = kinds[row]
            reason = next((kind for kind in (*DELETED, 'duplicate-box') if kind in found), '')
            if reason:
                self._note('deleted', 'annotation', reason, entry.get('id', f'number {row + 1}'))
                continue
            image = images.get(new_ids.get(entry['image_id']))
            if image is None or entry['category_id'] not in categories:
                # Its image or its category is left out, which is said.
                continue
            entry = {**entry, 'image_id': image['id'], 'category_id': categories[entry['category_id']]}
            size = image['width'], image['height']
            mended, notes = mend_annotation(entry, found, size, self.part.split.needs_masks)
            for verb, kind in notes:
                self._note(verb, 'annotation', kind, entry.get('id'))
            if mended is None:
                continue
            if row in self.without_id or mended['id'] in ids:
                self._note('numbered', 'annotation', 'duplicate-annotation-id', mended.get('id'))
                mended['id'] = next_id
                next_id += 1
            ids.add(mended['id'])
            kept.append(mended)
        return kept

    def _ids_of_several_files(self) -> set:
        names = defaultdict(set)
        for row in self._places('image', 'duplicate-image-id'):
            image = self.content['images'][row]
            names[image['id']].add(image['file_name'])
        return {i for i, files in names.items() if len(files) > 1}

    def _copies_of_others(self, checked: Sequence[CheckedObjects]) -> set[str]:
        """Return the names of a training split's images that other splits have, too."""
        if not self.part.split.is_training or self.part.images is None:
            return set()
        others = {
            facts.digest
            for part in checked
            if not part.split.is_training and part.images
            for facts, _ in part.images.seen
        }
        copies = {facts.file for facts, _ in self.part.images.seen if facts.digest in others}
        images = self.part.file.images
        return {image['file_name'] for image in images if self.part.image_path(image) in copies}

    def _places(self, noun: str, kind: str) -> set[int]:
        return set(self.faulty[noun, kind])

    def _note(self, verb: str, noun: str, kind: str, item: object) -> None:
        self.changes.add(self.split, verb, noun, kind, item)
