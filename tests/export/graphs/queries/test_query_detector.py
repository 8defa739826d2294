"""Detectors of queries as graphs give what mmdet gives."""

import copy

import pytest
import torch
from helpers.onnx_sessions import run_in_onnx, smooth_images
from helpers.own_detections import check_same, predict
from mmengine.registry import MODELS, DefaultScope

from convnext_dense.config import load_config
from convnext_dense.errors import UsageError
from convnext_dense.export.graphs.find_graph import find_graph
from convnext_dense.export.graphs.queries.detector import QueryDetector

SHAPES = ((1, 192, 256), (2, 203, 317))
DEFORMABLE = dict(type='DeformableDETR', bbox_head=dict(type='DeformableDETRHead'))


def tiny_model(divisor=1, layers=1, **changes):
    cfg = load_config('configs/dino/dino-4scale_convnext-t_8xb2-12e_coco.py', pretrained=False)
    levels = dict(num_levels=2)
    small = dict(
        data_preprocessor=dict(pad_size_divisor=divisor),
        backbone=dict(arch=dict(_delete_=True, depths=[1] * 4, channels=[16] * 4), out_indices=[2, 3]),
        neck=dict(in_channels=[16, 16], num_outs=2),
        encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=levels, ffn_cfg=dict(feedforward_channels=64))),
        decoder=dict(num_layers=layers, layer_cfg=dict(cross_attn_cfg=levels, ffn_cfg=dict(feedforward_channels=64))),
        num_feature_levels=2,
        num_queries=10,
        test_cfg=dict(max_per_img=15),
    )
    cfg.merge_from_dict(dict(model=small))
    cfg.merge_from_dict(dict(model=changes))
    if cfg.model.type != 'DINO':
        cfg.model.pop('dn_cfg')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model).eval()
    model.init_weights()
    # New weights look at the same points of every image, and find nothing.
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(('sampling_offsets.weight', 'attention_weights.weight')) or 'reg_branches' in name:
                weight.normal_(0, 0.05)
            elif 'cls_branches' in name:
                weight.normal_(-2, 0.1) if weight.dim() == 1 else weight.mul_(4)
    return model


class TestQueryDetector:
    @pytest.mark.parametrize(
        'changes',
        [
            dict(),
            dict(divisor=32),
            dict(DEFORMABLE, as_two_stage=False, with_box_refine=False),
            dict(DEFORMABLE, as_two_stage=False, layers=2),
            dict(DEFORMABLE, divisor=32),
        ],
        ids=['dino', 'dino-padded', 'deformable', 'deformable-refined', 'deformable-two-stage'],
    )
    def test_finds_what_mmdet_finds(self, changes):
        model = tiny_model(**changes)
        graph = QueryDetector(copy.deepcopy(model))
        for shape in SHAPES:
            images = smooth_images(*shape)
            with torch.no_grad():
                check_same(graph(images), predict(model, images))

    def test_finds_the_same_in_onnx_whatever_the_size(self, tmp_path):
        model = tiny_model(divisor=32)
        run = run_in_onnx(QueryDetector(copy.deepcopy(model)), tmp_path)
        for shape in SHAPES:
            images = smooth_images(*shape)
            check_same(run(images), predict(model, images))

    @pytest.mark.full
    def test_deformable_detr_is_the_same_in_onnx(self, tmp_path):
        model = tiny_model(**DEFORMABLE, as_two_stage=False, layers=2)
        run = run_in_onnx(QueryDetector(copy.deepcopy(model)), tmp_path)
        for shape in SHAPES:
            images = smooth_images(*shape)
            check_same(run(images), predict(model, images))

    def test_another_detector_is_refused_by_name(self):
        model = tiny_model()
        model.__class__ = type('DDQDETR', (type(model),), {})
        with pytest.raises(UsageError, match='DDQDETR'):
            find_graph(model)
