"""Small datasets without a fault, into which tests plant some."""

import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 60, 80
CLASSES = ('cat', 'dog', 'cow')
COUNTS = {'train': 4, 'val': 3}
# Where the objects of an image are: one of each class.
BOXES = ([4, 6, 20, 16], [40, 10, 24, 30], [10, 36, 22, 18])
MAP_CLASSES = ('sky', 'road', 'car')


def texture(seed: int) -> np.ndarray:
    """Return an image of random patches, as none other has."""
    patches = np.random.default_rng(seed).integers(0, 255, (HEIGHT // 10, WIDTH // 10, 3), dtype=np.uint8)
    return cv2.resize(patches, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def octagon(box: list[float]) -> list[float]:
    """Return the polygon of an object, which touches all sides of its box."""
    x, y, width, height = box
    parts = [(0.3, 0), (0.7, 0), (1, 0.3), (1, 0.7), (0.7, 1), (0.3, 1), (0, 0.7), (0, 0.3)]
    return [value for a, b in parts for value in (x + a * width, y + b * height)]


class CleanObjects:
    """A dataset in COCO's layout; `contents` are its annotation files, written by `write`.

    Args:
        root: An empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.contents: dict[str, dict] = {}
        (root / 'annotations').mkdir(parents=True)
        for split, count in COUNTS.items():
            (root / split).mkdir()
            images, annotations = [], []
            for i in range(count):
                images.append(dict(id=10 + i, file_name=f'{split}{i}.png', height=HEIGHT, width=WIDTH))
                cv2.imwrite(str(self.image(split, i)), texture(i + 100 * len(self.contents)))
                for label, box in enumerate(BOXES):
                    annotations.append(self.annotation(len(annotations) + 1, 10 + i, label, box))
            categories = [dict(id=label + 1, name=name) for label, name in enumerate(CLASSES)]
            self.contents[split] = dict(images=images, annotations=annotations, categories=categories)
        self.write()

    def annotation(self, i: int, image_id: int, label: int, box: list[float]) -> dict:
        """Return an annotation whose mask is an octagon."""
        return dict(
            id=i,
            image_id=image_id,
            category_id=label + 1,
            bbox=list(box),
            area=box[2] * box[3] * 0.82,
            iscrowd=0,
            segmentation=[octagon(box)],
        )

    def image(self, split: str, i: int) -> Path:
        """The file of an image."""
        return self.root / split / f'{split}{i}.png'

    def file(self, split: str) -> Path:
        """The annotation file of a split."""
        return self.root / 'annotations' / f'instances_{split}.json'

    def write(self) -> None:
        """Write the annotation files."""
        for split, content in self.contents.items():
            self.file(split).write_text(json.dumps(content))


class CleanLabels:
    """A dataset of images and label maps.

    Args:
        root: An empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(exist_ok=True)
        (root / 'classes.txt').write_text('\n'.join(MAP_CLASSES))
        for number, (split, count) in enumerate(COUNTS.items()):
            for folder in ('images', 'masks'):
                (root / folder / split).mkdir(parents=True)
            for i in range(count):
                cv2.imwrite(str(self.image(split, i)), texture(i + 100 * number))
                Image.fromarray(self.labels()).save(self.map(split, i))

    def labels(self, *values: int) -> np.ndarray:
        """Return a map with bands of these values, or of all classes."""
        values = values or tuple(range(len(MAP_CLASSES)))
        return np.resize(np.repeat(np.array(values), 7), (HEIGHT, WIDTH)).astype(np.uint8)

    def image(self, split: str, i: int) -> Path:
        """The file of an image."""
        return self.root / 'images' / split / f'{split}{i}.png'

    def map(self, split: str, i: int) -> Path:
        """The file of a label map."""
        return self.root / 'masks' / split / f'{split}{i}.png'
