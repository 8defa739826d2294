"""tools/run_exported.py, which imports nothing of the package, finds what its runtime finds."""

import re
import runpy
import sys

import cv2
import numpy as np
import pytest
from helpers.demo_runs import ROOT
from helpers.exported_toys import PAD, RESIZE, noise, write_toy

from convnext_dense.runtime import Model

SCRIPT = ROOT / 'tools/run_exported.py'
STEPS = {
    'none': (),
    'padded': (RESIZE, PAD),
    'stretched': (RESIZE | dict(keep_ratio=False, interpolation='area'),),
    'by-a-factor': (dict(type='resize', factor=[1.5, 0.5], keep_ratio=False, interpolation='bicubic'), PAD),
    'one-shape': (RESIZE | dict(fits=True), dict(type='pad', size=[64, 48], value=[9, 99, 199])),
}


def test_is_short_and_alone():
    lines = SCRIPT.read_text().splitlines()
    assert len(lines) <= 40
    assert not [line for line in lines if re.match(r'(from|import) (convnext_dense|torch|mm)', line)]


@pytest.mark.parametrize('steps', STEPS.values(), ids=STEPS)
def test_finds_what_the_runtime_finds(tmp_path, monkeypatch, capsys, steps):
    file = write_toy(tmp_path / 'toy.onnx', steps=steps)
    images = [tmp_path / f'{i}.png' for i in range(6)]
    for i, image in enumerate(images):
        cv2.imwrite(str(image), noise(30 + 10 * i, 70, i) // 2 + 128)
    monkeypatch.setattr(sys, 'argv', [str(SCRIPT), str(file), *map(str, images)])
    runpy.run_path(str(SCRIPT), run_name='__main__')
    expected = []
    for image, result in zip(images, Model(file).predict(images), strict=True):
        found = result.at_least(0.3)
        rows = zip(found.boxes, found.names, found.scores, strict=True)
        expected += [f'{image} {name} {score:.3f} ' + ' '.join(map(str, np.round(box, 1))) for box, name, score in rows]
    assert len(expected) > 3
    assert capsys.readouterr().out.splitlines() == expected
