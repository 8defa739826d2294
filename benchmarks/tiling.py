"""Measure what tiles find in a large image of small objects, against the whole image at a time.

The image is of 4000 x 3000 pixels, made of 12 annotated images side by side, again and again.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.cases import run_benchmark
from convnext_dense.evaluation.errors.boxes import overlaps
from convnext_dense.inference.find_model import find_model
from convnext_dense.inference.model import Model
from convnext_dense.inference.tiling.tiles import tile_boxes
from convnext_dense.reports.table import format_table
from convnext_dense.results.result import Result

WIDTH, HEIGHT, IMAGES, COLUMNS = 4000, 3000, 12, 4
SCORE, IOU = 0.3, 0.5


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    """Print and return the figures of each way.

    Args:
        arguments: The command line. Defaults to the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('model', help='a detector, as in convnext-dense predict')
    parser.add_argument('annotations', help="annotations of COCO's form, of images of one size")
    parser.add_argument('images', help='the folder of these images')
    parser.add_argument('--tile', type=int, default=256, help='the side of a tile in pixels')
    parser.add_argument('--overlap', type=float, default=0.25, help='which part of a tile the next one shares')
    parser.add_argument('--drawn', metavar='FOLDER', help='save the image as it is drawn')
    return run_benchmark(parser, arguments, _run, _table)


def make_image(annotations: Path, images: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the large image as RGB, and the boxes and labels of its objects, without those that its edges cut.

    Args:
        annotations: Annotations of COCO's form.
        images: The folder of the images, which have one size.
    """
    content = json.loads(annotations.read_text())
    chosen = content['images'][:IMAGES]
    labels = {category['id']: i for i, category in enumerate(content['categories'])}
    side_x, side_y = chosen[0]['width'], chosen[0]['height']
    canvas = np.zeros((HEIGHT + side_y, WIDTH + side_x, 3), np.uint8)
    parts = [np.asarray(Image.open(images / image['file_name']).convert('RGB')) for image in chosen]
    objects = [[one for one in content['annotations'] if one['image_id'] == image['id']] for image in chosen]
    boxes, classes = [], []
    for row in range(-(-HEIGHT // side_y)):
        for column in range(-(-WIDTH // side_x)):
            # Each row of the block begins elsewhere, so that the same images are not in columns.
            number = (row * COLUMNS + column + row // 3) % IMAGES
            x, y = column * side_x, row * side_y
            canvas[y : y + side_y, x : x + side_x] = parts[number]
            for one in objects[number]:
                left, top, width, height = one['bbox']
                if x + left + width <= WIDTH and y + top + height <= HEIGHT:
                    boxes.append((x + left, y + top, x + left + width, y + top + height))
                    classes.append(labels[one['category_id']])
    return canvas[:HEIGHT, :WIDTH], np.array(boxes), np.array(classes)


def count_found(result: Result, boxes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which objects are found, and the boxes found that are duplicates of a better one.

    Args:
        result: What is predicted.
        boxes: The objects' boxes, with shape (n, 4).
        labels: Their classes, with shape (n,).
    """
    order = np.argsort(-result.scores, kind='stable')
    found, classes = result.boxes[order].astype(float), result.labels[order]
    ious = overlaps(found, boxes.astype(float), np.zeros(len(boxes), bool))
    ious[classes[:, None] != labels[None]] = 0
    is_found, duplicates = np.zeros(len(boxes), bool), []
    for box, own in zip(found, ious, strict=True):
        free = np.where(is_found, 0, own)
        if free.max(initial=0) >= IOU:
            is_found[free.argmax()] = True
        elif own.max(initial=0) >= IOU:
            duplicates.append(box)
    return is_found, np.array(duplicates).reshape(-1, 4)


def _run(args: argparse.Namespace) -> Iterator[dict]:
    pixels, boxes, labels = make_image(Path(args.annotations), Path(args.images))
    model = Model(find_model(args.model))
    tiles = tile_boxes((HEIGHT, WIDTH), args.tile, args.overlap)
    for tile in (None, args.tile):
        start = time.perf_counter()
        result = model.predict(pixels, tile=tile, overlap=args.overlap).at_least(SCORE)
        seconds = time.perf_counter() - start
        is_found, duplicates = count_found(result, boxes, labels)
        at_seams = _at_seams(boxes, tiles)
        if args.drawn:
            Path(args.drawn).mkdir(parents=True, exist_ok=True)
            result.plot(SCORE).save(Path(args.drawn, f'{tile or "whole"}.png'))
        yield dict(
            model=type(model.module).__name__,
            tile=tile,
            overlap=args.overlap if tile else None,
            tiles=len(tiles) if tile else 1,
            objects=len(boxes),
            found=len(result),
            recall=float(is_found.mean()),
            recall_at_seams=float(is_found[at_seams].mean()),
            objects_at_seams=int(at_seams.sum()),
            duplicates=len(duplicates),
            duplicates_at_seams=int(_at_seams(duplicates, tiles).sum()),
            seconds=seconds,
        )


def _at_seams(boxes: np.ndarray, tiles: Sequence[tuple[int, int, int, int]]) -> np.ndarray:
    """Return which boxes a tile's edge cuts."""
    columns = np.array(sorted({edge for tile in tiles for edge in (tile[0], tile[2])} - {0, WIDTH}))
    rows = np.array(sorted({edge for tile in tiles for edge in (tile[1], tile[3])} - {0, HEIGHT}))
    left, top, right, bottom = boxes.T[..., None]
    return ((left < columns) & (columns < right)).any(1) | ((top < rows) & (rows < bottom)).any(1)


def _table(case: dict) -> str:
    how = f'in {case["tiles"]} tiles of {case["tile"]}' if case['tile'] else 'as a whole'
    rows = [
        ['all', str(case['objects']), f'{100 * case["recall"]:.1f} %', str(case['duplicates'])],
        [
            'at seams', str(case['objects_at_seams']), f'{100 * case["recall_at_seams"]:.1f} %',
            str(case['duplicates_at_seams']),
        ],
    ]  # fmt: skip
    header = ['objects', 'how many', 'recall', 'duplicates']
    return f'{case["model"]}, {WIDTH}x{HEIGHT} px {how}, {case["seconds"]:.0f} s\n{format_table(rows, header)}'


if __name__ == '__main__':
    main()
