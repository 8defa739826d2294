"""What a run says of itself before its first step."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from convnext_dense.backbones import ConvNeXt
from convnext_dense.hooks.run_summary_hook import _data, _duration, _parameters, _weights

ARCH = dict(depths=[1, 1, 1, 1], channels=[4, 8, 8, 8])


def weights(backbone, load_from=None, **settings):
    """What is said of a backbone's weights in a run that begins."""
    runner = SimpleNamespace(_resume=False, iter=0, _load_from=load_from, cfg=dict(model=dict(backbone=settings)))
    return _weights(runner, SimpleNamespace(backbone=backbone))


class TestWeights:
    def test_are_random_where_nothing_is_loaded(self):
        backbone = ConvNeXt(ARCH)
        backbone.init_weights()
        assert weights(backbone) == weights(nn.Identity()) == 'random initialization'

    def test_are_those_that_the_backbone_loaded(self, tmp_path):
        file = tmp_path / 'weights.pth'
        torch.save(ConvNeXt(ARCH).state_dict(), file)
        backbone = ConvNeXt(ARCH, init_cfg=dict(type='Pretrained', checkpoint=str(file)))
        backbone.init_weights()
        assert weights(backbone) == f'weights: {file}'

    def test_of_other_libraries_are_those_of_init_cfg(self):
        backbone = nn.Identity()
        backbone.init_cfg = [dict(type='Kaiming'), dict(type='Pretrained', checkpoint='torchvision://resnet50')]
        assert weights(backbone) == 'weights: torchvision://resnet50'
        assert weights(nn.Identity(), pretrained=True) == "weights: the library's own"

    def test_of_a_whole_model_are_said_to_be_that(self):
        assert weights(nn.Identity(), load_from='epoch_3.pth') == 'the model is from epoch_3.pth'


class TestFacts:
    def test_parameters_say_how_many_are_trained(self):
        model = nn.Sequential(nn.Linear(1000, 1000, bias=False), nn.Linear(1000, 1000, bias=False))
        assert _parameters(model) == '2.0 M parameters, all trainable'
        model[0].requires_grad_(False)
        assert _parameters(model) == '2.0 M parameters, 1.0 M trainable'

    @pytest.mark.parametrize(
        ('place', 'words'),
        [
            (dict(data_prefix=dict(img='a/train/'), ann_file='a/train.json'), ' in a/train, train.json'),
            (dict(data_prefix={}, data_root='a', ann_file=''), ' in a'),
            ({}, ''),
        ],
    )
    def test_data_says_how_many_images_and_where(self, place, words):
        dataset = type('Images', (), dict(place, __len__=lambda self: 5))()
        assert _data(dataset) == f'5 images{words}'
        repeated = type('Repeated', (), dict(dataset=dataset, __len__=lambda self: 15))()
        assert _data(repeated) == f'15 samples of 5 images{words}'

    @pytest.mark.parametrize(
        ('steps', 'times', 'words'),
        [
            (4, [], 'too short to tell: 4 steps'),
            (100, [], 'known after 8 steps'),
            (100, [9.0, *[0.5] * 8], 'about 50 s for 100 steps of 0.5 s, as before'),
        ],
    )
    def test_duration_is_known_after_some_steps_or_by_the_checkpoint(self, steps, times, words):
        hub = MessageHub('toy')
        for seconds in times:
            hub.update_scalar('train/time', seconds)
        assert _duration(SimpleNamespace(max_iters=steps + 3, iter=3, message_hub=hub)) == words
