"""Mask2Former as a graph gives what mmseg gives."""

import copy

import numpy as np
import pytest
import torch
from helpers.onnx_sessions import run_in_onnx, smooth_images
from mmdet.models.detectors import Mask2Former
from mmengine.registry import MODELS, DefaultScope
from mmseg.structures import SegDataSample

from convnext_dense.config import load_config
from convnext_dense.errors import UsageError
from convnext_dense.export.graphs.find_graph import find_graph
from convnext_dense.export.graphs.queries.segmenter import QuerySegmenter

# Shapes of the images, and sizes of the results.
CASES = (((1, 128, 160), (128, 160)), ((2, 103, 217), (150, 171)))


@pytest.fixture(scope='module')
def model():
    cfg = load_config('configs/mask2former/mask2former_convnext-t_8xb2-160k_ade20k-512x512.py', pretrained=False)
    small = dict(
        backbone=dict(arch=dict(_delete_=True, depths=[1] * 4, channels=[16] * 4)),
        decode_head=dict(
            in_channels=[16] * 4,
            num_queries=10,
            pixel_decoder=dict(encoder=dict(num_layers=1)),
            transformer_decoder=dict(num_layers=2),
        ),
    )
    cfg.merge_from_dict(dict(model=small))
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model).eval()
    model.init_weights()
    # New queries all vote for one class, everywhere.
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.startswith(('decode_head.cls_embed', 'decode_head.mask_embed')):
                weight *= 2.5
            elif name.endswith(('sampling_offsets.weight', 'attention_weights.weight')):
                weight.normal_(0, 0.05)
    return model


def predict(model, images, size):
    """Return mmseg's scores of all classes."""
    samples = [SegDataSample(metainfo=dict(img_shape=images.shape[1:3], ori_shape=size)) for _ in images]
    with torch.no_grad():
        results = model.test_step(dict(inputs=list(images.permute(0, 3, 1, 2)), data_samples=samples))
    return torch.stack([result.seg_logits.data for result in results]).numpy()


def relative_error(found, expected):
    return np.abs(np.asarray(found) - expected).max() / np.abs(expected).max()


class TestQuerySegmenter:
    def test_scores_are_those_of_mmseg(self, model):
        graph = QuerySegmenter(copy.deepcopy(model), with_scores=True)
        for shape, size in CASES:
            images = smooth_images(*shape)
            with torch.no_grad():
                assert relative_error(graph(images, torch.tensor(size)), predict(model, images, size)) < 1e-5

    def test_labels_are_those_of_the_highest_scores(self, model):
        images, size = smooth_images(*CASES[0][0]), CASES[0][1]
        with torch.no_grad():
            labels = QuerySegmenter(copy.deepcopy(model))(images, torch.tensor(size))
        expected = predict(model, images, size).argmax(1)
        assert len(np.unique(expected)) > 1
        assert (labels.numpy() == expected).mean() > 0.999

    @pytest.mark.full
    def test_scores_are_the_same_in_onnx_whatever_the_size(self, model, tmp_path):
        run = run_in_onnx(QuerySegmenter(copy.deepcopy(model), with_scores=True), tmp_path)
        for shape, size in CASES:
            images = smooth_images(*shape)
            found, expected = run(images, torch.tensor(size))[0], predict(model, images, size)
            assert relative_error(found, expected) < 1e-4
            assert (found.argmax(1) == expected.argmax(1)).mean() > 0.999

    def test_mask2former_of_mmdet_is_refused(self):
        with pytest.raises(UsageError, match='Mask2Former has no known form'):
            find_graph(Mask2Former.__new__(Mask2Former))
