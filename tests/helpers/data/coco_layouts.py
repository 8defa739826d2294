"""Small datasets of cats and dogs, in the layouts that people have them in."""

import json

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 48, 64
CATEGORIES = [dict(id=3, name='cat'), dict(id=1, name='dog')]
POLYGON = [[1, 1, 9, 1, 9, 9]]
# Where the annotation files and the images of the two splits lie, and what is in front of each file's name.
LAYOUTS = {
    'COCO': (
        ('annotations/instances_train2017.json', 'train2017', ''),
        ('annotations/instances_val2017.json', 'val2017', ''),
    ),
    'COCO in images': (
        ('annotations/instances_train.json', 'images/train', ''),
        ('annotations/instances_val.json', 'images/val', ''),
    ),
    'Roboflow': (('train/_annotations.coco.json', 'train', ''), ('valid/_annotations.coco.json', 'valid', '')),
    'folders in names': (('train.json', '.', 'images/a/'), ('val.json', '.', 'images/b/')),
    'one folder of images': (('labels/Training.json', 'pictures', 'x_'), ('labels/validation.json', 'pictures', 'y_')),
    'test alone': (('train/annotations.json', 'train', ''), ('test/annotations.json', 'test', '')),
    'spaces and umlauts': (('mein Set/train.json', 'mein Set/Bilder ü', 'a '), ('mein Set/val.json', 'mein Set/b', '')),
}


def write_split(root, ann_file, images, prefix, count=3, categories=CATEGORIES, **fields):
    """Write images, and an annotation file with a cat in the first and a dog in each."""
    entries = [dict(id=i, file_name=f'{prefix}{i}.png', height=HEIGHT, width=WIDTH) for i in range(count)]
    for entry in entries:
        path = root / images / entry['file_name']
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(path)
    objects = [
        dict(
            id=i,
            image_id=max(0, i - 1),
            category_id=1 if i else 3,
            bbox=[1, 1, 8, 8],
            **{'segmentation': POLYGON, **fields},
        )
        for i in range(count + 1)
    ]
    path = root / ann_file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(images=entries, categories=categories, annotations=objects)))


def write_layout(root, name, **fields):
    """Write a dataset of four images to train and two to validate."""
    for count, part in zip((4, 2), LAYOUTS[name], strict=True):
        write_split(root, *part, count=count, **fields)
