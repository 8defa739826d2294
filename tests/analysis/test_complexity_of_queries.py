"""The count of models that work on queries, whose transformers read values of tensors, against real images."""

import copy
from pathlib import Path

import mmdet
import mmseg
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import MODELS, init_default_scope
from torch.utils.flop_counter import FlopCounterMode

from convnext_dense.analysis import default_shape, measure_complexity
from convnext_dense.config import load_config
from convnext_dense.meta_device import build_on_meta, without_allocating

OURS = Path(__file__).resolve().parents[2] / 'configs'
MMDET = Path(mmdet.__file__).parent / '.mim/configs'
MMSEG = Path(mmseg.__file__).parent / '.mim/configs'
DINO = OURS / 'dino/dino-4scale_convnext-t_8xb2-12e_coco.py'
SHAPE = (64, 96)


class TestQueryModels:
    @pytest.mark.parametrize(
        'file',
        [
            DINO,
            OURS / 'mask2former/mask2former_convnext-t_8xb2-160k_ade20k-512x512.py',
            MMDET / 'detr/detr_r50_8xb2-150e_coco.py',
            MMDET / 'maskformer/maskformer_r50_ms-16xb1-75e_coco.py',
            MMSEG / 'maskformer/maskformer_r50-d32_8xb2-160k_ade20k-512x512.py',
            # mmdet's Mask2Former: the head is mmseg's.
            pytest.param(
                OURS / 'mask2former/mask2former_convnext-t_8xb2-lsj-50e_coco-panoptic.py', marks=pytest.mark.full
            ),
        ],
        ids=lambda file: file.stem,
    )
    def test_the_count_is_that_of_a_real_image(self, file):
        cfg = load_config(str(file))
        # DINO selects its queries among the encoder's outputs, and so small an image has few.
        if 'num_queries' in cfg.model:
            cfg.model.num_queries = 20
        if cfg.model.backbone.type == 'convnext_dense.ConvNeXt':
            cfg.model.backbone.arch = dict(depths=[1, 1, 1, 1], channels=[96, 192, 384, 768])
        init_default_scope(cfg.default_scope)
        model = MODELS.build(copy.deepcopy(cfg.model)).eval()
        image = torch.rand(1, 3, *SHAPE)
        samples = [DetDataSample(metainfo=dict(img_shape=SHAPE, batch_input_shape=SHAPE))]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            if cfg.default_scope == 'mmdet':
                model(image, samples, mode='tensor')
            else:
                model.decode_head(model.extract_feat(image), samples)
        complexity = measure_complexity(cfg, SHAPE)
        assert complexity.flops == counter.get_total_flops() // 2
        assert complexity.params == sum(param.numel() for param in model.parameters())

    def test_the_parts_of_dino_by_hand(self):
        cfg = load_config(str(DINO))
        cfg.model.num_queries = 20
        parts = measure_complexity(cfg, SHAPE).parts
        # Strides 8, 16 and 32, and 64 by a convolution with stride 2.
        tokens = 8 * 12 + 4 * 6 + 2 * 3 + 1 * 2
        # Value and output; two coordinates and a weight for 8 heads, 4 levels and 4 points; two linear layers.
        assert parts['encoder'][1] == 6 * tokens * (2 * 256**2 + 256 * 8 * 4 * 4 * 3 + 2 * 256 * 2048)
        # A score for each class, and three layers to four numbers, of all tokens and of the queries of six layers.
        scores, boxes = 256 * 80, 2 * 256**2 + 256 * 4
        assert parts['bbox_head'][1] == (tokens + 6 * 20) * (scores + boxes)
        assert parts['query_embedding'] == (20 * 256, 0)

    def test_building_leaves_the_config_as_it_is(self):
        cfg = load_config(str(DINO))
        before = copy.deepcopy(cfg.model)
        build_on_meta(cfg.model, cfg.default_scope)
        assert cfg.model == before


def test_rtmdet_has_the_numbers_of_mmdets_readme():
    # It pads to 640 x 640 in testing: 52.3M parameters and 80.23G.
    cfg = load_config(str(MMDET / 'rtmdet/rtmdet_l_8xb32-300e_coco.py'))
    assert default_shape(cfg) == (640, 640)
    complexity = measure_complexity(cfg)
    assert complexity.params == pytest.approx(52.3e6, rel=1e-3)
    assert complexity.flops == pytest.approx(80.23e9, rel=5e-3)


def test_only_shapes_have_values_on_the_meta_device():
    with without_allocating():
        image = torch.empty(2, 3)
        shape = torch._shape_as_tensor(image).to(image.device)
        assert shape.tolist() == [2, 3]
        assert shape.to(torch.float32).dtype is torch.float32
        assert (image.sum(1) * shape).is_meta
        assert len(torch.empty(5).split([*shape])) == 2
