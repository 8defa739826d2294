"""Random annotations and predictions in COCO's form, with objects of all sizes, crowds and equal scores."""

import copy

import numpy as np
import torch
from pycocotools.mask import encode

HEIGHT, WIDTH = 150, 180
CLASSES = tuple(f'class {i}' for i in range(6))
# COCO's ids have gaps.
CATEGORY_IDS = [1, 2, 4, 7, 8, 11]


def ellipses(boxes):
    """Return the masks of ellipses in boxes of x, y, width and height."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    left, top, width, height = np.reshape(boxes, (-1, 4)).T[..., None, None]
    return ((x - left) / width - 0.5) ** 2 + ((y - top) / height - 0.5) ** 2 <= 0.25


def random_boxes(rng, number):
    """Return boxes of all three of COCO's sizes."""
    size = np.exp(rng.uniform(np.log(5), np.log(HEIGHT), (number, 2))) * [1.2, 0.9]
    return np.hstack([rng.uniform(0, 1, (number, 2)) * np.maximum([WIDTH, HEIGHT] - size, 0), size])


def to_corners(box):
    left, top, width, height = box
    return [left, top, left + width, top + height]


def segmentation(mask, box, crowd):
    """Return a crowd's run lengths, or another object's polygons, here two halves, as COCO does."""
    if crowd:
        pixels = mask.T.ravel()
        changes = np.flatnonzero(np.diff(pixels, prepend=False))
        return dict(size=[HEIGHT, WIDTH], counts=np.diff(changes, prepend=0, append=pixels.size).tolist())
    angles = [np.linspace(start, start + np.pi, 9) for start in (0, np.pi)]
    return [
        np.stack([box[0] + box[2] / 2 * (1 + np.cos(a)), box[1] + box[3] / 2 * (1 + np.sin(a))], 1).ravel().tolist()
        for a in angles
    ]


def make_annotations(rng, images):
    annotations = []
    for image in range(images):
        # Every sixth image has no annotations.
        boxes = random_boxes(rng, rng.integers(1, 7) if image % 6 else 0)
        for box, mask in zip(boxes, ellipses(boxes), strict=True):
            crowd = rng.random() < 0.15
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=3 * image + 2,
                    category_id=CATEGORY_IDS[rng.integers(len(CLASSES) - 1)],
                    bbox=box.tolist(),
                    area=float(mask.sum()),
                    iscrowd=int(crowd),
                    segmentation=segmentation(mask, box, crowd),
                )
            )
    return dict(
        images=[dict(id=3 * i + 2, width=WIDTH, height=HEIGHT) for i in range(images)],
        categories=[dict(id=i, name=name) for i, name in zip(CATEGORY_IDS, CLASSES, strict=True)],
        annotations=annotations,
    )


def make_samples(rng, dataset, most):
    """Predictions near the annotations and elsewhere; every fifth image has none. Many scores are equal."""
    samples = []
    for i, image in enumerate(dataset['images']):
        own = [annotation for annotation in dataset['annotations'] if annotation['image_id'] == image['id']]
        near = [own[k] for k in rng.integers(len(own), size=most // 2)] if own else []
        boxes = np.vstack(
            [np.reshape([annotation['bbox'] for annotation in near], (-1, 4)), random_boxes(rng, most // 2)]
        )
        boxes *= rng.uniform(0.9, 1.1, boxes.shape)
        labels = [CATEGORY_IDS.index(annotation['category_id']) for annotation in near]
        labels = np.append(labels, rng.integers(len(CLASSES), size=most // 2)).astype(int)
        keep = rng.permutation(len(boxes))[: rng.integers(1, most) if i % 5 else 0]
        boxes, labels = boxes[keep], labels[keep]
        masks = torch.from_numpy(ellipses(boxes))
        corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
        instances = dict(
            bboxes=torch.from_numpy(corners).float(),
            labels=torch.from_numpy(labels),
            scores=torch.from_numpy(rng.random(len(keep)).round(2)).float(),
            masks=masks,
        )
        gts = [
            dict(
                bbox_label=CATEGORY_IDS.index(annotation['category_id']),
                bbox=to_corners(annotation['bbox']),
                ignore_flag=annotation['iscrowd'],
                mask=encode(np.asfortranarray(ellipses(annotation['bbox'])[0].astype(np.uint8))),
            )
            for annotation in own
        ]
        shape = (HEIGHT, WIDTH)
        samples.append(dict(img_id=image['id'], ori_shape=shape, pred_instances=instances, instances=gts))
    return samples


def evaluate(metric, samples):
    metric.dataset_meta = dict(classes=CLASSES)
    for i in range(0, len(samples), 4):
        metric.process({}, copy.deepcopy(samples[i : i + 4]))
    return metric.evaluate(len(samples))
