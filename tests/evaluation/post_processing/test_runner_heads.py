"""What trains and tests a config has the faster heads, if COCO's metric evaluates it."""

import pytest
from helpers.demo_runs import DETECTOR

import convnext_dense.apis.runner as module
from convnext_dense.config import load_config
from convnext_dense.evaluation.post_processing import heads


def test_a_detector_of_coco_has_them(monkeypatch, tmp_path):
    class Built(Exception):
        pass

    def stop(model):
        raise Built(type(model).__name__)

    monkeypatch.setattr(heads, 'speed_up_heads', stop)
    cfg = load_config(str(DETECTOR), str(tmp_path))
    with pytest.raises(Built, match='MaskRCNN'):
        module.build_runner(cfg, module.StrictLoadRunner)
