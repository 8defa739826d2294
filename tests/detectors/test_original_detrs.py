"""The authors' own checkpoints of RT-DETRv2 and D-FINE load as they are, by file and by name."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from helpers.original_detrs import original_weights
from helpers.published_detrs import build_ours
from mmengine.registry import DefaultScope

from convnext_dense.errors import CheckpointError
from convnext_dense.evaluation.strict_load_runner import StrictLoadRunner
from convnext_dense.weights import load_from_anywhere
from convnext_dense.weights.published import PUBLISHED
from convnext_dense.weights.storage.downloads import cache_folder

# The kind, the backbone's, timm's name of it, and its channels.
KINDS = {
    'rtdetrv2_r18vd_coco': ('RTDetrV2', 'ResNetVD', 'resnet18d', (128, 256, 512)),
    'rtdetrv2_r50vd_coco': ('RTDetrV2', 'TimmBackbone', 'resnet26d', (512, 1024, 2048)),
    'd_fine_l_coco': ('DFine', 'TimmBackbone', 'hgnetv2_b0', (256, 512, 1024)),
}


def build(kind, backbone, name, channels, seed=0, **head):
    backbone = dict(type=f'convnext_dense.{backbone}', model_name=name, out_indices=(1, 2, 3))
    torch.manual_seed(seed)
    detector = build_ours(kind, backbone, channels, **head)
    with torch.no_grad():
        for tensor in detector.state_dict().values():
            if tensor.is_floating_point() and tensor.numel() > 1:
                tensor.add_(torch.rand_like(tensor) * 0.1)
    return detector


@pytest.fixture(scope='module', params=KINDS)
def published(request):
    """Return the name of published weights, a small detector of that kind, and its weights by the authors' names."""
    detector = build(*KINDS[request.param])
    return request.param, detector, original_weights(detector)


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Load a checkpoint into a detector as a test does, which must find every tensor."""
    # A runner sets it for all that follows.
    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())

    def load(detector, source):
        runner = StrictLoadRunner(detector, str(tmp_path), experiment_name=str(tmp_path))
        runner.load_checkpoint(str(source))

    return load


def assert_same_weights(detector, other):
    weights = other.state_dict()
    for name, tensor in detector.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=0, atol=0, msg=name)


class TestAuthorsCheckpoints:
    def test_a_file_loads_whole(self, published, load, tmp_path):
        name, detector, weights = published
        file = tmp_path / 'file.pth'
        torch.save(dict(model=weights, last_epoch=71, date='2024-10-18'), file)
        other = build(*KINDS[name], seed=1)
        load(other, file)
        assert_same_weights(detector, other)

    def test_averaged_weights_come_first(self, published, tmp_path):
        _, _, weights = published
        file = tmp_path / 'file.pth'
        others = {name: tensor + 1 for name, tensor in weights.items()}
        torch.save(dict(model=others, ema=dict(module=weights, updates=9)), file)
        loaded = load_from_anywhere(str(file))['state_dict']
        assert all(torch.equal(loaded[name], tensor) for name, tensor in weights.items())

    def test_a_name_takes_the_downloaded_file(self, published, load, tmp_path, monkeypatch):
        name, detector, weights = published
        monkeypatch.setenv('TORCH_HOME', str(tmp_path))
        cache_folder().mkdir(parents=True)
        torch.save(dict(ema=dict(module=weights)), cache_folder() / Path(PUBLISHED[name].address).name)
        other = build(*KINDS[name], seed=1)
        load(other, name)
        assert_same_weights(detector, other)

    def test_a_file_of_other_classes_is_one_sentence(self, published, load, tmp_path):
        name, _, weights = published
        file = tmp_path / 'file.pth'
        torch.save(dict(model=weights), file)
        with pytest.raises(CheckpointError, match=r'is no checkpoint of this model: .*\.enc_score_head\.weight'):
            load(build(*KINDS[name], num_classes=4), file)
