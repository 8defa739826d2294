"""Reads annotation files of COCO's form: of each annotation, the fields that mmdet reads, and no others."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from convnext_dense.regular_files import special_kind

# What msgspec refuses may be read by json, such as NaN.
REFUSED = (msgspec.DecodeError, ValueError, RecursionError)


class Annotation(msgspec.Struct, gc=False):
    """An annotation. A field that the file does not have is UNSET.

    Args:
        segmentation: Its JSON, or what was read from it. Polygons are most of a file, and ten times as large in memory
            as in JSON.
    """

    id: Any = UNSET
    image_id: Any = UNSET
    category_id: Any = UNSET
    bbox: Any = UNSET
    area: Any = UNSET
    iscrowd: Any = UNSET
    ignore: Any = UNSET
    segmentation: Any = UNSET


class _Unread(Annotation, gc=False):
    segmentation: msgspec.Raw = msgspec.Raw(b'')


class CocoContent(msgspec.Struct):
    """A file whose outer form is right."""

    images: list[dict]
    categories: list[dict]
    annotations: Sequence[Annotation] = []


class _UnreadContent(msgspec.Struct):
    images: list[dict]
    categories: list[dict]
    annotations: list[_Unread] = []


def read_json(path: Path, is_coco: bool) -> object:
    """Return a file's JSON.

    Args:
        path: The file.
        is_coco: Whether to return a `CocoContent` if it has that form.

    Raises:
        ValueError: With what is wrong, if it cannot be read.
    """
    if not path.exists():
        raise ValueError('there is no such file.')
    if not path.is_file():
        raise ValueError(f'is {special_kind(path) or "a folder"}, and no file.')
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ValueError(f'cannot be read: {error.strerror}.') from error
    if not raw.strip():
        raise ValueError('is empty.')
    try:
        if not is_coco:
            return msgspec.json.decode(raw)
        content = msgspec.json.decode(raw, type=_UnreadContent)
        return CocoContent(content.images, content.categories, content.annotations)
    except REFUSED:
        return _parse_slowly(raw)


def as_annotation(entry: dict) -> Annotation:
    """Return an annotation of an entry that was read already.

    Example:
        >>> as_annotation(dict(id=1, image_id=2, score=0.5)).image_id
        2
    """
    return Annotation(**{field: entry[field] for field in Annotation.__struct_fields__ if field in entry})


def coco_content(data: object) -> CocoContent | None:
    """Return JSON of COCO's form as such, or None if it has another form.

    Args:
        data: As `read_json` returns it.

    Example:
        >>> coco_content(dict(images=[], categories=[dict(id=1, name='cat')])).categories
        [{'id': 1, 'name': 'cat'}]
    """
    if isinstance(data, CocoContent) or not isinstance(data, dict):
        return data if isinstance(data, CocoContent) else None
    parts: list[Any] = [data.get('images'), data.get('categories'), data.get('annotations', [])]
    for part in parts:
        if not isinstance(part, list) or not all(isinstance(entry, dict) for entry in part):
            return None
    images, categories, annotations = parts
    return CocoContent(images, categories, [as_annotation(entry) for entry in annotations])


def read_segmentation(value: object) -> object:
    """Return what a segmentation is; None if there is none.

    Example:
        >>> read_segmentation(msgspec.Raw(b'[[1, 2, 3, 4, 5, 6]]'))
        [[1, 2, 3, 4, 5, 6]]
    """
    if not isinstance(value, msgspec.Raw):
        return None if value is UNSET else value
    try:
        return msgspec.json.decode(value) if bytes(value) else None
    except REFUSED:
        # A damaged file may have bytes that are no text.
        return json.loads(bytes(value).decode(errors='replace'))


# Reads polygons; raises one of REFUSED for all else.
read_polygons: Callable[[Any], list[list[float]]] = msgspec.json.Decoder(list[list[float]]).decode


def _parse_slowly(raw: bytes) -> object:
    try:
        # Not of bytes, of which json reads encodings that pycocotools does not.
        return json.loads(raw.decode())
    except json.JSONDecodeError as error:
        is_cut = error.pos >= len(error.doc.rstrip()) - 1 or error.msg.startswith('Unterminated')
        hint = '; it seems to be cut off' if is_cut else ''
        raise ValueError(f'is no JSON: {error.msg} at line {error.lineno}, column {error.colno}{hint}.') from error
    except (ValueError, RecursionError) as error:
        # Whole numbers of thousands of digits, too.
        raise ValueError(f'is no JSON: {error}.') from error
