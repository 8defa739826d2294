"""Splits an annotation file of COCO's form that is alone."""

import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from convnext_dense.errors import UsageError

VAL_FRACTION = 0.2
SEED = 0

Image = TypeVar('Image')


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
    content = json.loads(path.read_bytes())
    files = {}
    # Entries, not ids: ids may be of any kind, and there more than once.
    for name, kept in draw_parts(content['images'], path).items():
        ids = {image.get('id') for image in kept}
        annotations = [entry for entry in content.get('annotations', []) if entry.get('image_id') in ids]
        files[name] = folder / f'{name}.json'
        write_part(files[name], json.dumps({**content, 'images': kept, 'annotations': annotations}))
    return files


def draw_parts(images: Sequence[Image], place: Path) -> dict[str, list[Image]]:
    """Return a part of a dataset's images for training and one for validation, always the same.

    Args:
        images: The images.
        place: Where they are, for what is said.

    Raises:
        UsageError: If there are fewer than two.

    Example:
        >>> draw_parts('abcde', Path('letters'))
        {'train': ['a', 'b', 'c', 'e'], 'val': ['d']}
    """
    if len(images) < 2:
        raise UsageError(f'data: {place} has {len(images)} images; training and validation need one each at least.')
    chosen = set(random.Random(SEED).sample(range(len(images)), max(1, round(len(images) * VAL_FRACTION))))
    return {
        'train': [image for i, image in enumerate(images) if i not in chosen],
        'val': [image for i, image in enumerate(images) if i in chosen],
    }


def write_part(file: Path, text: str) -> None:
    """Write a part of a split. Other processes of the same run may read it, and write the same, at any time.

    Raises:
        UsageError: If it cannot be written.
    """
    unfinished = file.with_name(f'{file.name}.{os.getpid()}')
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(text, encoding='utf-8')
        unfinished.replace(file)
    except OSError as error:
        raise UsageError(f'work_dir: {file} cannot be written: {error.strerror}.') from error
