"""Splits an annotation file of COCO's form that is alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from convnext_dense.datasets.cache.findings import remember
from convnext_dense.datasets.cache.keys import Stamp, stamp_of
from convnext_dense.datasets.formats.coco.coco_json import REFUSED
from convnext_dense.datasets.formats.splits import SEED, VAL_FRACTION, draw_parts
from convnext_dense.datasets.formats.whole_files import write_whole


def split_coco(path: Path, folder: Path) -> dict[str, Path]:
    """Write two annotation files, one for training and one for validation, each with all annotations of its images.

    Args:
        path: The annotation file.
        folder: Where to write ``train.json`` and ``val.json``.

    Returns:
        The files, by the split.

    Raises:
        UsageError: If it has fewer than two images, or the files cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> images = [dict(id=i, file_name=f'{i}.png') for i in range(10)]
        >>> _ = (folder / 'all.json').write_text(json.dumps(dict(images=images, annotations=[], categories=[])))
        >>> files = split_coco(folder / 'all.json', folder)
        >>> {name: len(json.loads(file.read_text())['images']) for name, file in files.items()}
        {'train': 8, 'val': 2}
    """
    files = {name: folder / f'{name}.json' for name in ('train', 'val')}

    def stamps() -> dict[str, Stamp | None]:
        return {name: stamp_of(file) for name, file in files.items()}

    def write() -> dict[str, Stamp | None]:
        _write_parts(path, files)
        return stamps()

    what = [str(folder.resolve()), SEED, VAL_FRACTION]
    remember('split', what, path, dict[str, Stamp | None], write, lambda written: written == stamps())
    return files


def _write_parts(path: Path, files: Mapping[str, Path]) -> None:
    raw = path.read_bytes()
    try:
        content = msgspec.json.decode(raw, type=dict[str, Raw])
    except REFUSED:
        content = {key: json.dumps(value).encode() for key, value in json.loads(raw).items()}
    images = _entries(content['images'], _Image)
    annotations = _entries(content.get('annotations', b'[]'), _Annotation)
    # Entries, not ids: ids may be of any kind, and there more than once.
    drawn = draw_parts(images, path)
    val_ids = {image_id for image_id, _ in drawn['val']}
    for name, kept in drawn.items():
        # Those of no image are left to the checks, which say so.
        parts = dict(
            images=kept, annotations=[entry for entry in annotations if (entry[0] in val_ids) == (name == 'val')]
        )
        lists = {key: b'[' + b', '.join(bytes(text) for _, text in entries) + b']' for key, entries in parts.items()}
        values = {**content, **lists}.items()
        write_whole(
            files[name], b'{' + b', '.join(json.dumps(key).encode() + b': ' + text for key, text in values) + b'}'
        )


class _Image(msgspec.Struct, gc=False):
    id: Any = None


class _Annotation(msgspec.Struct, gc=False):
    id: Any = msgspec.field(default=None, name='image_id')


def _entries(raw: Raw | bytes, kind: type) -> list[tuple[Any, Raw | bytes]]:
    """Return the entries of a list with the ids of their images, each as its JSON."""
    try:
        ids = msgspec.json.decode(raw, type=list[kind])
        return [(entry.id, text) for entry, text in zip(ids, msgspec.json.decode(raw, type=list[Raw]), strict=True)]
    except REFUSED:
        key = 'id' if kind is _Image else 'image_id'
        return [(entry.get(key), json.dumps(entry).encode()) for entry in json.loads(bytes(raw))]
