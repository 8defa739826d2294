"""Real-time DETRs as graphs give what they predict themselves."""

import copy

import pytest
import torch
from helpers.onnx_sessions import run_in_onnx, smooth_images
from helpers.own_detections import check_same, predict
from mmengine.registry import MODELS, DefaultScope

from convnext_dense.config import load_config
from convnext_dense.export.graphs.find_graph import find_graph

SHAPES = ((1, 128, 128), (2, 160, 203), (1, 320, 256))
DEMO = 'configs/demo/d-fine_convnext-demo_demo-coco.py'


def make_model(head, divisor):
    """Return the demo's detector with a head of random weights that is sure of something."""
    cfg = load_config(DEMO, pretrained=False)
    cfg.model.bbox_head.update(type=f'convnext_dense.{head}')
    cfg.model.data_preprocessor.pad_size_divisor = divisor
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if 'cls_branches' in name:
                weight.normal_(-2, 0.1) if weight.dim() == 1 else weight.mul_(8)
            elif 'reg_branches' in name:
                weight.normal_(0, 0.05)
    return model


@pytest.mark.parametrize('divisor', [1, 32])
@pytest.mark.parametrize('head', ['DFINEHead', 'RTDETRv2Head'])
def test_finds_what_the_detector_finds(head, divisor):
    model = make_model(head, divisor)
    graph = find_graph(copy.deepcopy(model))
    for shape in SHAPES:
        images = smooth_images(*shape)
        with torch.no_grad():
            check_same(graph(images), predict(model, images))


def test_finds_all_where_an_image_may_have_more_boxes_than_there_are_scores():
    model = make_model('DFINEHead', 32)
    model.bbox_head.max_per_image = 1000
    boxes, scores, labels = find_graph(copy.deepcopy(model))(smooth_images(1, 128, 128))
    # 100 queries, and four classes.
    assert boxes.shape[1] == scores.shape[1] == labels.shape[1] == 400


@pytest.mark.full
@pytest.mark.parametrize('head', ['DFINEHead', 'RTDETRv2Head'])
def test_finds_the_same_in_onnx_whatever_the_size(head, tmp_path):
    model = make_model(head, 32)
    run = run_in_onnx(find_graph(copy.deepcopy(model)), tmp_path)
    for shape in SHAPES:
        images = smooth_images(*shape)
        check_same(run(images), predict(model, images))
