"""Splits an annotation file of COCO's form that is alone."""

import json
from pathlib import Path

from convnext_dense.datasets.formats.splits import draw_parts
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
    content = json.loads(path.read_bytes())
    files = {}
    # Entries, not ids: ids may be of any kind, and there more than once.
    parts = draw_parts(content['images'], path)
    val_ids = {image.get('id') for image in parts['val']}
    for name, kept in parts.items():
        # Those of no image are left to the checks, which say so.
        annotations = [
            entry for entry in content.get('annotations', []) if (entry.get('image_id') in val_ids) == (name == 'val')
        ]
        files[name] = folder / f'{name}.json'
        write_whole(files[name], json.dumps({**content, 'images': kept, 'annotations': annotations}))
    return files
