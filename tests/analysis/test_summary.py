"""A config's model, summed up without allocating it."""

import pytest
import torch
from helpers.commands import run_command
from helpers.demo_runs import DETECTOR, SEGMENTER
from mmengine.registry import MODELS, DefaultScope

from convnext_dense.analysis import measure_complexity
from convnext_dense.analysis.memory import measure_training_memory
from convnext_dense.analysis.rates import rate_groups
from convnext_dense.analysis.stages import backbone_parts
from convnext_dense.analysis.training_shape import training_shape
from convnext_dense.config import load_config

BACKBONES = [None, 'timm/resnet18', 'mmdet/ResNet(depth=50)', 'convnextv2_atto']


@pytest.mark.parametrize('backbone', BACKBONES)
def test_the_parts_of_a_backbone_add_up(backbone):
    cfg = load_config(str(SEGMENTER), backbone=backbone, pretrained=False)
    parts = backbone_parts(cfg, (64, 64))
    params, flops = measure_complexity(cfg, (64, 64)).parts['backbone']
    if len(parts) > 1:
        assert sum(part.params for part in parts) == params
    assert sum(part.flops for part in parts) == flops


def test_kept_activations_are_those_of_a_real_forward_pass():
    cfg = load_config(str(SEGMENTER))
    counted = measure_training_memory(cfg, (64, 64)).activations
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model).eval()
    owned = {part.untyped_storage().data_ptr() for part in [*model.parameters(), *model.buffers()]}
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        _ = model.decode_head(model.extract_feat(torch.rand(1, 3, 64, 64)))
    assert counted == pytest.approx(sum(size for size, _ in kept.values()), rel=0.15)


@pytest.mark.parametrize('config', [DETECTOR, SEGMENTER])
def test_every_trained_parameter_has_a_rate(config):
    cfg = load_config(str(config))
    groups = rate_groups(cfg)
    assert sum(group.params for group in groups) == measure_complexity(cfg).params


def test_layers_have_the_rates_of_their_depth():
    groups = rate_groups(load_config('mask-rcnn_convnext-t_fpn_amp-1x_coco'))
    rates = [group.rate for group in groups if group.weight_decay]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(1e-4 * 0.95**7)
    assert rates[-1] == 1e-4


def test_the_command_shows_it(tmp_path):
    run = run_command(tmp_path, 'summary', DETECTOR, '--shape', '128', '128')
    assert run.status == 0, run.err
    assert 'stages.0' in run.out
    assert '128 x 128' in run.out
    assert '█' in run.out


@pytest.mark.parametrize(
    ('name', 'shape'),
    [
        ('mask-rcnn_convnext-t_fpn_amp-1x_coco', (800, 1344)),
        # Crops and batches of one size, mosaics, and padding.
        ('upernet_convnext-t_8xb2-amp-160k_ade20k-512x512', (512, 512)),
        ('mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', (1024, 1024)),
        ('mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py', (640, 640)),
        ('mmdet::yolox/yolox_s_8xb8-300e_coco.py', (640, 640)),
        # One of several pipelines, not padded.
        ('mmdet::detr/detr_r50_8xb2-150e_coco.py', (800, 1333)),
    ],
)
def test_memory_is_of_the_images_that_the_recipe_trains_on(name, shape):
    assert training_shape(load_config(name)) == shape


def test_a_recipe_that_keeps_sizes_has_those_of_the_data(demo_data, monkeypatch):
    monkeypatch.chdir(demo_data)
    assert training_shape(load_config(str(DETECTOR))) == (128, 128)


def test_a_dataset_of_ones_own_is_summed_up(demo_data, tmp_path):
    folder = demo_data / 'data' / 'demo' / 'coco'
    result = run_command(tmp_path, 'summary', DETECTOR, '--data', folder)
    assert result.status == 0, result.err
    assert 'activations of an image of 128 x 128' in result.out
