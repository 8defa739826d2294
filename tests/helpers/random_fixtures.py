"""Fixtures that the tests of predictions and of exports share."""

import pytest

from helpers.demo_runs import DETECTOR, SEGMENTER
from helpers.random_models import random_model, small_config


@pytest.fixture(scope='session')
def coco(demo_data):
    """The demo's dataset of objects."""
    return demo_data / 'data' / 'demo' / 'coco'


@pytest.fixture(scope='session')
def label_maps(demo_data):
    """The demo's dataset of label maps."""
    return demo_data / 'data' / 'demo' / 'ade' / 'ADEChallengeData2016'


@pytest.fixture(scope='session')
def detector(coco, tmp_path_factory):
    """The demo's Mask R-CNN with random weights."""
    return random_model(small_config(str(DETECTOR), coco), tmp_path_factory.mktemp('detector') / 'best.pth')


@pytest.fixture(scope='session')
def segmenter(label_maps, tmp_path_factory):
    """The demo's UperNet with random weights."""
    return random_model(small_config(str(SEGMENTER), label_maps), tmp_path_factory.mktemp('segmenter') / 'best.pth')


@pytest.fixture(scope='session')
def photos(coco):
    """Some images of the demo."""
    return sorted(coco.rglob('*.jpg'))[:4] or sorted(coco.rglob('*.png'))[:4]
