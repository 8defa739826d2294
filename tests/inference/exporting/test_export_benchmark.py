"""The table and the page of `export --benchmark` say what was measured, on what, and by what."""

import json
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import onnx
import pytest
from mmengine.config import Config

from convnext_dense.cli.running.export_benchmark import show_benchmark
from convnext_dense.export.formats.lower_precision import precision_in
from convnext_dense.inference.exporting import benchmark

ROW = dict(way='PyTorch', precision='fp32', p50_seconds=0.1, p99_seconds=0.2, images_a_second=9.0, times_as_fast=1.0)
SCORED = dict(peak_memory_mib=500.0, score=31.4, scored_images=40)
FOUND = SimpleNamespace(cfg=Config(dict(val_evaluator=dict(type='CocoMetric', metric=['bbox', 'segm']))), name='demo')


@pytest.fixture
def shown(tmp_path, capsys):
    """Returns what is printed and the page, for rows."""

    def show(*rows):
        with mock.patch.object(benchmark, 'measure_exports', return_value=list(rows)):
            show_benchmark(FOUND, ['demo'], [tmp_path / 'demo.onnx'], ['a.png'] * 16)
        return capsys.readouterr().out, (tmp_path / 'demo.benchmark.html').read_text()

    return show


def test_the_table_names_the_metric_and_the_precision(shown, tmp_path):
    out, page = shown(ROW | SCORED, ROW | SCORED | dict(way='demo.onnx', precision='int8'))
    assert out.splitlines()[0].split()[-2:] == ['segm_mAP', '(%)']
    assert out.splitlines()[2].split()[:2] == ['demo.onnx', 'int8']
    assert "Timed on 16 images. Times as fast: PyTorch's ms (median) divided by that of the row." in out
    assert '<td data-name="segm_mAP (%)">31.4</td>' in page
    assert json.loads((tmp_path / 'demo.benchmark.json').read_text())['score'] == 'segm_mAP (%)'


def test_the_page_says_on_how_many_images_and_on_what(shown):
    _, page = shown(ROW | SCORED)
    assert 'on 16 images' in page and 'on the validation set of 40 images' in page
    for name, value in benchmark.machine().items():
        assert value and f'<dd>{value}</dd>' in page.replace('&#x27;', "'"), name
    assert {'Processor', 'Python', 'PyTorch', 'ONNX Runtime', 'OpenVINO', 'convnext_dense'} <= set(benchmark.machine())


def test_the_page_says_why_there_is_no_score(shown):
    _, page = shown(ROW | dict(peak_memory_mib=None, no_score='there is no validation set'))
    assert 'not known: there is no validation set' in page


def test_times_as_fast_is_the_ratio_of_the_medians_shown(tmp_path):
    # The median of the images' ratios is 1.
    seconds = {'PyTorch': [1.0, 2.0, 9.0], str(tmp_path / 'a.onnx'): [1.0, 4.0, 9.0]}
    with (
        mock.patch.object(benchmark, 'Model') as model,
        mock.patch.object(benchmark, 'open_exported'),
        mock.patch.object(benchmark, 'ExportedModel'),
        mock.patch.object(benchmark, 'precision_in', return_value='half'),
        mock.patch.object(benchmark, '_peak_memory', return_value=None),
        mock.patch.object(benchmark, '_time_in_turn', return_value=seconds | {'PyTorch, compiled backbone': [1.0] * 3}),
    ):
        model.return_value = mock.MagicMock(cfg=Config())
        rows = benchmark.measure_exports(FOUND, ['demo'], [tmp_path / 'a.onnx'], ['a.png'] * 3)
    assert [(row['precision'], row['times_as_fast']) for row in rows] == [('fp32', 1), ('fp32', 2), ('half', 0.5)]


class TestPrecision:
    @pytest.mark.parametrize('precision', ['fp32', 'half', 'int8'])
    def test_of_an_onnx_file(self, tmp_path, precision):
        values = np.ones(4, np.float16 if precision == 'half' else np.float32)
        kind = 'QuantizeLinear' if precision == 'int8' else 'Identity'
        node = onnx.helper.make_node(kind, ['a', 'a'] if precision == 'int8' else ['a'], ['b'])
        graph = onnx.helper.make_graph([node], 'toy', [], [], [onnx.numpy_helper.from_array(values, 'a')])
        onnx.save(onnx.helper.make_model(graph), tmp_path / 'a.onnx')
        assert precision_in(tmp_path / 'a.onnx') == precision

    @pytest.mark.parametrize('half', [False, True])
    def test_of_an_openvino_file(self, tmp_path, half):
        openvino = pytest.importorskip('openvino')
        inputs = openvino.opset13.parameter([4], np.float32)
        weights = openvino.opset13.constant(np.random.default_rng(0).random(4, np.float32))
        model = openvino.Model([openvino.opset13.multiply(inputs, weights)], [inputs])
        openvino.save_model(model, tmp_path / 'a.xml', compress_to_fp16=half)
        assert precision_in(tmp_path / 'a.xml') == ('half' if half else 'fp32')

    def test_of_a_program(self):
        assert precision_in(Path('a.pt2')) == 'fp32'
