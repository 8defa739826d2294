"""Generates an annotation file as large as COCO's."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

WIDTH, HEIGHT = 640, 480
CLASSES = tuple(f'class {i}' for i in range(80))


def write_large_coco(root: Path, images: int = 118_000, objects: int = 860_000) -> None:
    """Write a training set: ``annotations/instances_train2017.json``, and empty files in ``train2017``.

    Args:
        root: A folder.
        images: How many images.
        objects: How many objects, of about 23 points each, as COCO's; one in a hundred is a crowd.
    """
    (root / 'train2017').mkdir(parents=True)
    (root / 'annotations').mkdir()
    names = [f'{i:012d}.jpg' for i in range(1, images + 1)]
    for name in names:
        (root / 'train2017' / name).touch()
    with (root / 'annotations' / 'instances_train2017.json').open('w') as file:
        file.write('{"categories": ' + json.dumps([dict(id=i, name=name) for i, name in enumerate(CLASSES)]))
        file.write(', "images": [')
        file.write(
            ', '.join(
                json.dumps(dict(id=i, file_name=name, height=HEIGHT, width=WIDTH)) for i, name in enumerate(names)
            )
        )
        file.write('], "annotations": [')
        for i, annotation in enumerate(_annotations(images, objects)):
            file.write((', ' if i else '') + json.dumps(annotation))
        file.write(']}')


def _annotations(images: int, objects: int) -> Iterator[dict]:
    rng = np.random.default_rng(0)
    image_ids = rng.integers(0, images, objects).tolist()
    corners, sizes = rng.integers(0, 400, (objects, 2)).tolist(), rng.integers(5, 80, (objects, 2)).tolist()
    points = rng.integers(6, 41, objects).tolist()
    # Outlines of each number of points: in a circle of diameter 1, whose box it touches on all sides.
    outlines = {count: _outline(rng, count) for count in range(6, 41)}
    for i in range(objects):
        (x, y), (width, height) = corners[i], sizes[i]
        polygon = outlines[points[i]] * (width, height) + (x, y)
        is_crowd = i % 100 == 0
        # A crowd is its box.
        start = x * HEIGHT + y
        columns = [start, height, *[HEIGHT - height, height] * (width - 1)]
        run_lengths = dict(counts=[*columns, WIDTH * HEIGHT - sum(columns)], size=[HEIGHT, WIDTH])
        yield dict(
            id=i,
            image_id=image_ids[i],
            category_id=i % len(CLASSES),
            bbox=[float(x), float(y), float(width), float(height)],
            area=width * height * (1 if is_crowd else 0.7),
            iscrowd=int(is_crowd),
            segmentation=run_lengths if is_crowd else [polygon.round(2).ravel().tolist()],
        )


def _outline(rng: np.random.Generator, count: int) -> np.ndarray:
    angles = np.sort(np.concatenate([np.arange(4) * np.pi / 2, rng.random(count - 4) * 2 * np.pi]))
    return np.stack([0.5 + np.cos(angles) / 2, 0.5 + np.sin(angles) / 2], 1)
