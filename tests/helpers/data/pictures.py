"""Pictures with outlined objects, which tests write in one format or another."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

SPLITS = ('train', 'val')


@dataclass(frozen=True)
class Picture:
    """An image, and of each object the class, the polygon in pixels, and the box x, y, width, height around it."""

    name: str
    pixels: np.ndarray
    objects: list[tuple[int, list[float]]]

    @property
    def size(self):
        height, width = self.pixels.shape[:2]
        return width, height

    def masks(self):
        width, height = self.size
        return [
            coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([polygon], height, width))).astype(bool)
            for _, polygon in self.objects
        ]

    def label_map(self):
        width, height = self.size
        labels = np.zeros((height, width), np.uint8)
        masks = [(mask, label) for mask, (label, _) in zip(self.masks(), self.objects, strict=True)]
        for mask, label in sorted(masks, key=lambda found: -found[0].sum()):
            labels[mask] = label + 1
        return labels


def box(polygon):
    xs, ys = polygon[::2], polygon[1::2]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


def read_coco_set(root, counts):
    """Return pictures of a dataset of COCO's layout: so many of each split."""
    pictures = {}
    for split, count in zip(SPLITS, counts, strict=True):
        content = json.loads((root / 'annotations' / f'instances_{split}2017.json').read_text())
        labels = {category['id']: i for i, category in enumerate(content['categories'])}
        pictures[split] = []
        for image in content['images'][:count]:
            found = [a for a in content['annotations'] if a['image_id'] == image['id'] and not a.get('iscrowd')]
            # A mask is a ring in the formats that have one polygon for an object.
            objects = [(labels[a['category_id']], a['segmentation'][0]) for a in found if len(a['segmentation']) == 1]
            pixels = np.asarray(Image.open(root / f'{split}2017' / image['file_name']).convert('RGB'))
            pictures[split].append(Picture(Path(image['file_name']).stem, pixels, objects))
    return pictures, [category['name'] for category in content['categories']]


def shapes(counts=(3, 2), classes=3, seed=0):
    """Return pictures with an ellipse in each of six cells, of changing classes, as polygons of half pixels."""
    random = np.random.default_rng(seed)
    pictures = {}
    for split, count in zip(SPLITS, counts, strict=True):
        pictures[split] = []
        for i in range(count):
            pixels = random.integers(0, 255, (64, 96, 3), dtype=np.uint8)
            objects = []
            for cell in range(6):
                center = 16 + 32 * (cell % 3), 16 + 32 * (cell // 3)
                radii = random.uniform(9, 14, 2)
                angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
                points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii + center
                objects.append(((cell + i) % classes, [round(float(number) * 2) / 2 for number in points.ravel()]))
            pictures[split].append(Picture(f'street {i}', pixels, objects))
    return pictures, ['cat', 'dog & co', 'bird'][:classes]
