"""Exported detectors find what PyTorch finds, by both runtimes."""

import pytest
import torch
from helpers.demo_runs import DETECTOR
from helpers.random_models import random_model, small_config

from convnext_dense.export.comparing import Tolerance, compare_results
from convnext_dense.runtime import Model

DETECTORS = [
    str(DETECTOR),
    'mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
]
CLASSIFIERS = ('fc_cls', 'retina_cls')
# Weights by chance give many objects of almost one score, of which another may be the last one.
NEAR = Tolerance(0.99, 0.02, 0)


def sure_of_itself(model):
    """Let a model of random weights give scores above 0.3."""
    with torch.no_grad():
        for name, weight in model.module.named_parameters():
            if any(part in name for part in CLASSIFIERS):
                weight.mul_(0 if name.endswith('bias') else 20)
    return model


@pytest.mark.full
@pytest.mark.parametrize('name', DETECTORS)
def test_the_same_objects_are_found(name, coco, tmp_path):
    model = sure_of_itself(random_model(small_config(name, coco), tmp_path / 'model.pth'))
    images = [str(file) for file in sorted(coco.rglob('*.jpg'))]
    expected = [model.predict(image) for image in images]
    file = model.export(tmp_path / 'model.onnx')
    for runtime in ('onnxruntime', 'openvino'):
        found = list(Model(file, runtime, threads=1).stream(images))
        difference = compare_results(expected, found, NEAR)
        assert difference.boxes > 5
        assert difference.is_within(NEAR), difference
        assert difference.largest_score < 1e-3
        # None is of masks where there are none.
        assert difference.least_mask_iou is None or difference.least_mask_iou > 0.99
