"""A small dataset of things and stuff in COCO's panoptic form."""

import json

import numpy as np
from PIL import Image

CATEGORIES = [
    dict(id=2, name='car', isthing=1),
    dict(id=5, name='dog', isthing=1),
    dict(id=7, name='road', isthing=0),
    dict(id=9, name='sky', isthing=0),
    dict(id=11, name='tree', isthing=0),
]
SIZE = 64


def write_panoptic(root, counts=(4, 2), splits=('train', 'val'), ending='.jpg', categories=CATEGORIES):
    """Write images whose upper half is sky, whose lower half is road, with a car on it."""
    for split, count in zip(splits, counts, strict=True):
        images, annotations = [], []
        for i in range(count):
            pixels = np.random.default_rng(i).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
            ids = np.full((SIZE, SIZE), 1, np.uint32)
            ids[SIZE // 2 :] = 300
            ids[40:60, 10:40] = 70000
            for folder, name, array in (
                (f'{split}2017', f'{i}{ending}', pixels),
                (f'annotations/panoptic_{split}2017', f'{i}.png', ids[..., None] // [1, 256, 65536] % 256),
            ):
                (root / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array.astype(np.uint8)).save(root / folder / name)
            images.append(dict(id=i, file_name=f'{i}{ending}', width=SIZE, height=SIZE))
            boxes = {1: (9, [0, 0, 64, 32]), 300: (7, [0, 32, 64, 32]), 70000: (2, [10, 40, 30, 20])}
            segments = [
                dict(id=j, category_id=category, bbox=box, area=int((ids == j).sum()), iscrowd=0)
                for j, (category, box) in boxes.items()
            ]
            annotations.append(dict(image_id=i, file_name=f'{i}.png', segments_info=segments))
        file = root / 'annotations' / f'panoptic_{split}2017.json'
        file.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
