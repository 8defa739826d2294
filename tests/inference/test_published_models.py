"""Every published detector and segmenter has a config of this package."""

import pytest

from convnext_dense.config.find import our_configs
from convnext_dense.errors import UsageError
from convnext_dense.inference.find_model import find_model
from convnext_dense.inference.published_models import DETR_CONFIGS, config_of, published_models
from convnext_dense.weights.published import DETRS, MMDET_MODELS, MMSEG_MODELS, PUBLISHED, V1_MODELS

MODELS = [*V1_MODELS, *MMDET_MODELS, *MMSEG_MODELS]


@pytest.mark.parametrize('name', MODELS)
def test_it_has_a_config(name):
    config = config_of(name)
    assert config in our_configs()
    assert ('in22k' in name) == ('in22k' in config)
    assert name.startswith('cascade') == config.startswith('cascade')


def test_backbones_have_none():
    assert set(published_models()) == {*MODELS, *DETR_CONFIGS} < set(PUBLISHED)


@pytest.mark.parametrize('name', DETRS)
def test_a_real_time_detr_has_a_config_or_needs_one(name):
    if name in DETR_CONFIGS:
        assert find_model(name).cfg.model.type == 'convnext_dense.RealTimeDETR'
    else:
        with pytest.raises(UsageError, match=f'{name} has no config in this package; give a config of its size'):
            find_model(name)


def test_it_is_found_by_its_name():
    found = find_model('upernet_convnext_tiny_in1k_ade20k')
    assert found.checkpoint == found.name == 'upernet_convnext_tiny_in1k_ade20k'
    assert found.cfg.default_scope == 'mmseg'
    assert not found.is_foreign
