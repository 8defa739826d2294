"""Find objects by an exported detector: ``python run_exported.py model.onnx photo.jpg``. It imports nothing of ours."""

import json
import sys

import cv2
import numpy as np
import onnxruntime

INTERPOLATIONS = ['nearest', 'bilinear', 'bicubic', 'area', 'lanczos']  # In OpenCV's order.
session = onnxruntime.InferenceSession(sys.argv[1], providers=onnxruntime.get_available_providers())
description = json.loads(session.get_modelmeta().custom_metadata_map['convnext_dense'])


def prepare(image: np.ndarray, step: dict) -> np.ndarray:
    """Return an image after a step of the description."""
    (height, width), size, factor = image.shape[:2], step.get('size'), step.get('factor')
    if step['type'] == 'pad':
        missing = np.subtract(size, (width, height)) if size else -np.array([width, height]) % step['divisor']
        right, below = missing.clip(0).tolist()
        return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=step['value'])
    if not factor and step['keep_ratio']:
        factor = [min(max(size) / max(height, width), min(size) / min(height, width))] * 2
        factor = [min(size[0] / width, size[1] / height)] * 2 if step.get('fits') else factor
    if factor:
        size = (np.multiply((width, height), factor) + (0.5 if size else 0)).astype(int).clip(1).tolist()
    return cv2.resize(image, size, interpolation=INTERPOLATIONS.index(step['interpolation']))


for path in sys.argv[2:]:
    image, scale = cv2.imread(path), np.ones(2)
    for step in description['steps']:
        before, image = image, prepare(image, step)
        if step['type'] == 'resize':
            scale *= np.divide(image.shape[1::-1], before.shape[1::-1])
    boxes, labels, scores = session.run(['boxes', 'labels', 'scores'], {'images': image[None]})
    for box, label, score in zip(boxes[0], labels[0], scores[0], strict=True):
        if label >= 0 and score >= 0.3:
            print(path, description['classes'][label], f'{score:.3f}', *(box / np.tile(scale, 2)).round(1))
