"""A COCO annotation file: read once, and looked at as columns."""

import gc
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from operator import attrgetter
from pathlib import Path

import numpy as np
from msgspec import UNSET, UnsetType

from convnext_dense.datasets.annotations.fault import Fault
from convnext_dense.datasets.annotations.wording import subject
from convnext_dense.datasets.formats.coco.coco_json import Annotation, CocoContent, as_annotation, read_json

NUMBERS = {int, float}
IDS = {int, float, str}
# What mmdet reads of an entry. COCO's `area` and `iscrowd` may be missing: they are filled in.
IMAGE, ANNOTATION, CATEGORY = ('id', 'height', 'width'), ('id', 'image_id', 'category_id', 'area'), ('id', 'name')
FIELDS = {
    'instances': dict(image=('file_name', *IMAGE), annotation=ANNOTATION, category=CATEGORY),
    'lvis': dict(image=IMAGE, annotation=ANNOTATION, category=CATEGORY),
    'panoptic': dict(image=('file_name', *IMAGE), annotation=ANNOTATION, category=(*CATEGORY, 'isthing')),
}
TYPES = {
    **dict.fromkeys(('id', 'image_id', 'category_id'), (IDS, 'a number or a text')),
    **dict.fromkeys(('name', 'file_name'), ({str}, 'a text')),
    **dict.fromkeys(('height', 'width', 'area'), (NUMBERS, 'a number')),
    'isthing': ({int, bool}, '0 or 1'),
}
# How a column says that an entry has not the field, or has null.
MISSING = {type(None), UnsetType}


class CocoFile:
    """An annotation file of COCO's form.

    Args:
        path: The file.
        kind: 'instances', 'panoptic' or 'lvis'. A panoptic file's annotations are its segments.

    Attributes:
        faults: What keeps mmdet from reading it. If there is any, nothing else here is valid.
        images, annotations, categories: Its entries.
        columns: Each field of the annotations; UNSET where one has not the field.
        origins: The places of the images, annotations and categories in the file, if some are left out.

    Example:
        >>> CocoFile('no-such.json').faults[0].sentence
        'no-such.json: there is no such file.'
    """

    def __init__(self, path: str, kind: str = 'instances') -> None:
        self.path = path
        self.kind = kind
        self.images: list[dict] = []
        self.annotations: Sequence[Annotation] = []
        self.categories: list[dict] = []
        self.origins: dict[str, list[int]] = {}
        self.faults = [*self._read()]

    @property
    def exists(self) -> bool:
        return Path(self.path).exists()

    def _read(self) -> Iterator[Fault]:
        try:
            data = read_json(Path(self.path), is_coco=self.kind != 'panoptic')
        except ValueError as error:
            yield Fault('json', f'{self.path}: {error}')
            return
        if isinstance(data, CocoContent):
            self.images, self.annotations, self.categories = data.images, data.annotations, data.categories
        elif fault := self._take(data):
            yield Fault('json', f'{self.path}: {fault}')
            return
        yield from self._wrong_fields()

    def _take(self, data: object) -> str:
        """Take over what JSON of any form has; return what is wrong with the form."""
        if not isinstance(data, dict):
            return f'holds a {type(data).__name__}; it must be an object with images, annotations and categories.'
        parts = {}
        for key in ('images', 'annotations', 'categories'):
            value = data.get(key, [] if key == 'annotations' else None)
            if not isinstance(value, list):
                return f'{key!r} is no list, but {value!r:.40}.' if key in data else f'has no {key!r}.'
            if set(map(type, value)) - {dict}:
                i = next(i for i, entry in enumerate(value) if type(entry) is not dict)
                return f'{key}[{i}] is no object, but {value[i]!r:.40}.'
            parts[key] = value
        if self.kind == 'panoptic':
            try:
                parts['annotations'] = [
                    {**segment, 'image_id': annotation['image_id']}
                    for annotation in parts['annotations']
                    for segment in annotation['segments_info']
                ]
            except (KeyError, TypeError) as error:
                return f'is no panoptic file: an annotation has no image_id or segments_info ({error}).'
        self.images, self.categories = parts['images'], parts['categories']
        self.annotations = [as_annotation(entry) for entry in parts['annotations']]
        return ''

    @cached_property
    def columns(self) -> dict[str, list]:
        return {field: list(map(attrgetter(field), self.annotations)) for field in Annotation.__struct_fields__}

    def without(self, faults: Sequence[Fault]) -> 'CocoFile':
        """Return the file without the entries that have any of these faults.

        Args:
            faults: What was found in it.
        """
        rest = CocoFile.__new__(CocoFile)
        rest.path, rest.kind, rest.faults, rest.origins = self.path, self.kind, [], dict(self.origins)
        for noun, name in dict(image='images', annotation='annotations', category='categories').items():
            wrong = {row for fault in faults if fault.noun == noun for row in fault.rows}
            entries = getattr(self, name)
            if wrong:
                rows = [row for row in range(len(entries)) if row not in wrong]
                rest.origins[noun] = [self.origin(noun, row) for row in rows]
                entries = [entries[row] for row in rows]
            setattr(rest, name, entries)
        return rest

    def origin(self, noun: str, row: int) -> int:
        """Return the place of an entry in the file.

        Args:
            noun: 'image', 'annotation' or 'category'.
            row: Its place here.
        """
        return self.origins[noun][row] if noun in self.origins else row

    def _wrong_fields(self) -> Iterator[Fault]:
        for noun, entries in dict(image=self.images, annotation=self.annotations, category=self.categories).items():
            for field in FIELDS[self.kind][noun]:
                values = self.columns[field] if noun == 'annotation' else [entry.get(field, UNSET) for entry in entries]
                allowed, words = TYPES[field]
                if field == 'area' and self.kind != 'panoptic':
                    allowed = allowed | MISSING
                if set(map(type, values)) <= allowed:
                    continue
                wrong = [i for i, value in enumerate(values) if type(value) not in allowed]
                ids = self.columns['id'] if noun == 'annotation' else [entry.get('id', UNSET) for entry in entries]
                shown = [f'number {i + 1}' if ids[i] is UNSET else ids[i] for i in wrong]
                value = values[wrong[0]]
                what = f'{field} {value!r:.40}; it must be {words}'
                if type(value) in MISSING:
                    what = f'no {field!r}' if value is UNSET else f'{field!r} null'
                yield Fault(
                    'field', f'{self.path}: {subject(noun, shown, len(entries))} {what}.', wrong, noun, what=what
                )
        for field in ('height', 'width'):
            # A comparison with NaN is False.
            values = [image.get(field) for image in self.images]
            wrong = [i for i, value in enumerate(values) if type(value) in NUMBERS and not 0 < value < 1e9]
            if wrong:
                who = subject('image', [self.images[i].get('id') for i in wrong], len(values))
                sentence = f'{self.path}: {who} {field} {values[wrong[0]]!r}; it must be positive.'
                yield Fault('image-size', sentence, wrong, 'image', what=f'{field} {values[wrong[0]]!r}')
        if not self.categories:
            yield Fault('no-categories', f"{self.path}: 'categories' is empty; it must name the classes.")

    @cached_property
    def image_ids(self) -> list:
        return [image['id'] for image in self.images]

    @cached_property
    def image_rows(self) -> dict:
        """The last image of each id, as mmdet takes it."""
        return {image_id: row for row, image_id in enumerate(self.image_ids)}

    @cached_property
    def sizes(self) -> np.ndarray:
        """Widths and heights of the images, of shape (images, 2)."""
        values = [(image['width'], image['height']) for image in self.images]
        return np.array(values, dtype=np.float64).reshape(-1, 2)

    @cached_property
    def rows(self) -> np.ndarray:
        """Each annotation's image, as a row of `images`; -1 if there is none."""
        rows = self.image_rows
        return np.array([rows.get(image_id, -1) for image_id in self.columns['image_id']], dtype=np.int64)

    @cached_property
    def boxes(self) -> np.ndarray | None:
        """The boxes, of shape (annotations, 4), or None if one is not of four finite numbers."""
        boxes = self.columns['bbox']
        if not (set(map(type, boxes)) <= {list} and set(map(len, boxes)) <= {4}):
            return None
        if not set(map(type, chain.from_iterable(boxes))) <= NUMBERS:
            return None
        try:
            array = np.fromiter(chain.from_iterable(boxes), dtype=np.float64, count=4 * len(boxes)).reshape(-1, 4)
        except OverflowError:
            return None
        return array if np.isfinite(array).all() else None

    @cached_property
    def category_names(self) -> dict:
        return {category['id']: category['name'] for category in self.categories}

    def flags(self, field: str) -> np.ndarray:
        """Return whether each annotation has a field that is set, such as `iscrowd`."""
        return np.array(list(map(bool, self.columns[field])), dtype=bool)

    def in_categories(self, ids: set) -> np.ndarray:
        """Return whether each annotation is of one of these categories."""
        return np.array([category_id in ids for category_id in self.columns['category_id']], dtype=bool)

    def ids_where(self, mask: np.ndarray) -> list:
        """Return the ids of the annotations at which a mask is True."""
        return [self.columns['id'][i] for i in np.flatnonzero(mask)]


@contextmanager
def no_garbage_collection() -> Generator[None]:
    """Keep the collector from walking through the millions of objects of an annotation file, which hold no cycles.

    Example:
        >>> with no_garbage_collection():
        ...     gc.isenabled()
        False
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def find_repeated_ids(file: CocoFile) -> Iterator[Fault]:
    """Find images, annotations and categories of one id."""
    if ids := repeated(file.image_ids):
        first = [image.get('file_name', image.get('coco_url')) for image in file.images if image['id'] == ids[0]]
        who = subject('image id', ids, len(file.images), 'is', 'are')
        is_same = len(set(first)) == 1
        files = f'both for {first[0]}' if is_same else f'for {" and ".join(first[:2])}'
        end = 'mmdet reads the last' if is_same else 'mmdet would read the last alone; ids must differ'
        sentence = f'{file.path}: {who} there more than once, {files}; {end}.'
        yield Fault('duplicate-image-id', sentence, _rows_of(file.image_ids, ids), 'image', not is_same)
    # Segments of several images may share an id.
    if file.kind != 'panoptic' and (ids := repeated(file.columns['id'])):
        who = subject('annotation id', ids, len(file.annotations), 'is', 'are')
        sentence = f'{file.path}: {who} there more than once; annotation ids must differ.'
        yield Fault('duplicate-annotation-id', sentence, _rows_of(file.columns['id'], ids))
    category_ids = [category['id'] for category in file.categories]
    if ids := repeated(category_ids):
        shown = [category['name'] for category in file.categories if category['id'] == ids[0]]
        who = subject('category id', ids, len(file.categories), 'is', 'are')
        sentence = f'{file.path}: {who} there more than once, for {" and ".join(shown)}; category ids must differ.'
        yield Fault('duplicate-category', sentence, _rows_of(category_ids, ids), 'category')


def _rows_of(values: list, wanted: list) -> list[int]:
    chosen = set(wanted)
    return [row for row, value in enumerate(values) if value in chosen]


def repeated(values: list) -> list:
    """Return the values that a list has more than once.

    Example:
        >>> repeated([1, 2, 1])
        [1]
    """
    if len(set(values)) == len(values):
        return []
    return [value for value, count in Counter(values).items() if count > 1]
