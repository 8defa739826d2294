"""A COCO annotation file: read once, and looked at as columns."""

import gc
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np

from convnext_dense.checks.annotations.wording import subject

ID_TYPES = {int, str, float}
NUMBERS = {int, float}
# What mmdet reads of an entry, by the kind of file. COCO's `area` and `iscrowd` may be missing: they are filled in.
FIELDS = {
    'instances': dict(
        image=('id', 'file_name', 'height', 'width'),
        annotation=('id', 'image_id', 'category_id'),
        category=('id', 'name'),
    ),
    'lvis': dict(
        image=('id', 'height', 'width'), annotation=('id', 'image_id', 'category_id'), category=('id', 'name')
    ),
    'panoptic': dict(
        image=('id', 'file_name', 'height', 'width'),
        annotation=('id', 'image_id', 'category_id', 'area'),
        category=('id', 'name', 'isthing'),
    ),
}
TYPES = {
    'id': ID_TYPES,
    'image_id': ID_TYPES,
    'category_id': ID_TYPES,
    'name': {str},
    'file_name': {str},
    'height': NUMBERS,
    'width': NUMBERS,
    'area': NUMBERS,
    'isthing': {int, bool},
}
WORDS = {frozenset(ID_TYPES): 'a number or a text', frozenset({str}): 'a text', frozenset(NUMBERS): 'a number'}


class CocoFile:
    """An annotation file of COCO's form.

    Args:
        path: The file.
        kind: 'instances', 'panoptic' or 'lvis'. A panoptic file's annotations are its segments.

    Attributes:
        faults: A sentence for each thing that keeps mmdet from reading it. If there is one, nothing else here is valid.
        images, annotations, categories: Its entries.

    Example:
        >>> CocoFile('no-such.json').faults
        ['no-such.json: there is no such file.']
    """

    def __init__(self, path: str, kind: str = 'instances') -> None:
        self.path = path
        self.kind = kind
        self.images, self.annotations, self.categories = [], [], []
        self.has_annotations = False
        self.faults = list(self._read())

    @property
    def exists(self) -> bool:
        return Path(self.path).exists()

    def _read(self) -> Iterator[str]:
        try:
            data = _parse(Path(self.path))
        except ValueError as error:
            yield f'{self.path}: {error}'
            return
        if not isinstance(data, dict):
            yield f'{self.path}: holds a {type(data).__name__}; it must be an object with images, annotations, categories.'
            return
        self.has_annotations = 'annotations' in data
        entries = {key: data.get(key) for key in ('images', 'categories')}
        entries['annotations'] = data.get('annotations', [])
        for key, value in entries.items():
            if not isinstance(value, list):
                is_missing = key not in data
                yield (
                    f'{self.path}: has no {key!r}.'
                    if is_missing
                    else f'{self.path}: {key!r} is no list, but {value!r:.40}.'
                )
            elif wrong := [i for i, entry in enumerate(value) if type(entry) is not dict]:
                yield f'{self.path}: {key}[{wrong[0]}] is no object, but {value[wrong[0]]!r:.40}.'
            else:
                setattr(self, key, value)
                continue
            return
        if self.kind == 'panoptic':
            try:
                self.annotations = [
                    {**segment, 'image_id': annotation['image_id']}
                    for annotation in self.annotations
                    for segment in annotation['segments_info']
                ]
            except (KeyError, TypeError) as error:
                yield f"{self.path}: an annotation's image_id or segments_info cannot be read ({error}); is it a panoptic file?"
                return
        yield from self._fields()

    def _fields(self) -> Iterator[str]:
        for noun, fields in FIELDS[self.kind].items():
            entries = dict(image=self.images, annotation=self.annotations, category=self.categories)[noun]
            for field in fields:
                values = [entry.get(field) for entry in entries]
                types = set(map(type, values))
                if types <= TYPES[field]:
                    continue
                wrong = [i for i, value in enumerate(values) if type(value) not in TYPES[field]]
                shown = [entries[i].get('id', f'number {i + 1}') for i in wrong]
                if values[wrong[0]] is not None:
                    what = (
                        f'{field} {values[wrong[0]]!r:.40}; it must be {WORDS.get(frozenset(TYPES[field]), "0 or 1")}'
                    )
                elif field in entries[wrong[0]]:
                    what = f'{field!r} null'
                else:
                    what = f'no {field!r}'
                yield f'{self.path}: {subject(noun, shown, len(entries))} {what}.'
        for field in ('height', 'width'):
            # A comparison with NaN is False.
            wrong = [image for image in self.images if type(image.get(field)) in NUMBERS and not 0 < image[field] < 1e9]
            if wrong:
                who = subject('image', [image.get('id') for image in wrong], len(self.images))
                yield f'{self.path}: {who} {field} {wrong[0][field]!r}; it must be positive.'
        if not self.categories:
            yield f"{self.path}: 'categories' is empty; it must name the classes."

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
    def annotation_ids(self) -> list:
        return [annotation['id'] for annotation in self.annotations]

    @cached_property
    def rows(self) -> np.ndarray:
        """Each annotation's image, as a row of `images`; -1 if there is none."""
        rows = self.image_rows
        return np.array([rows.get(annotation['image_id'], -1) for annotation in self.annotations], dtype=np.int64)

    @cached_property
    def category_names(self) -> dict:
        return {category['id']: category['name'] for category in self.categories}

    def flags(self, field: str) -> np.ndarray:
        """Return whether each annotation has a field that is set, such as `iscrowd`."""
        return np.array([bool(annotation.get(field)) for annotation in self.annotations], dtype=bool)

    def in_categories(self, ids: set) -> np.ndarray:
        """Return whether each annotation is of one of these categories."""
        return np.array([annotation['category_id'] in ids for annotation in self.annotations], dtype=bool)

    def ids_where(self, mask: np.ndarray) -> list:
        """Return the ids of the annotations at which a mask is True."""
        return [self.annotation_ids[i] for i in np.flatnonzero(mask)]


def repeated(values: list) -> list:
    """Return the values that a list has more than once.

    Example:
        >>> repeated([1, 2, 1])
        [1]
    """
    if len(set(values)) == len(values):
        return []
    return [value for value, count in Counter(values).items() if count > 1]


def _parse(path: Path) -> object:
    """Return a file's JSON, or raise ValueError with what is wrong with it."""
    if not path.exists():
        raise ValueError('there is no such file.')
    if not path.is_file():
        raise ValueError('is no file.')
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ValueError(f'cannot be read: {error.strerror}.') from error
    if not raw.strip():
        raise ValueError('is empty.')
    try:
        with _no_garbage_collection():
            return json.loads(raw)
    except json.JSONDecodeError as error:
        is_cut = error.pos >= len(error.doc.rstrip()) - 1 or error.msg.startswith('Unterminated')
        hint = '; it seems to be cut off' if is_cut else ''
        raise ValueError(f'is no JSON: {error.msg} at line {error.lineno}, column {error.colno}{hint}.') from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f'is no JSON: {error}.') from error


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Pause the collector, which otherwise walks through millions of new objects again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
