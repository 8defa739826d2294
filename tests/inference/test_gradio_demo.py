"""The page that predicts on photos, with a stand-in for Gradio, which the tests do not install."""

import runpy
import sys
import types

import pytest
from helpers.demo_runs import DETECTOR, ROOT
from helpers.random_models import save_random, small_config
from PIL import Image


class Refusal(Exception):
    """Gradio's Error."""


@pytest.fixture
def page(monkeypatch, coco, tmp_path):
    def part(*args, **kwargs):
        return types.SimpleNamespace(args=args, **kwargs)

    gradio = types.SimpleNamespace(Interface=part, Slider=part, Image=part, Error=Refusal)
    monkeypatch.setitem(sys.modules, 'gradio', gradio)
    build = runpy.run_path(str(ROOT / 'tools' / 'gradio_demo.py'))['build']
    return build(str(save_random(small_config(str(DETECTOR), coco), tmp_path / 'model.pth')))


def test_a_photo_is_drawn(page):
    predict, (_, score), _ = page.args
    assert score.visible
    assert not page.analytics_enabled
    drawn = predict(Image.new('RGBA', (64, 48), 'red'), 0.0)
    # Enlarged, with the classes' names below.
    assert drawn.width == 768
    assert drawn.height > 576


def test_no_photo_is_said(page):
    with pytest.raises(Refusal, match='Give a photo'):
        page.args[0](None, 0.3)
