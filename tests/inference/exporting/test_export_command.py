"""`export` writes files that predict what PyTorch predicts, and says so."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.commands import run_command
from helpers.graph_session import GraphSession

from convnext_dense.cli.running.export import _place
from convnext_dense.errors import UsageError
from convnext_dense.export.comparing import TOLERANCES, Difference, compare_results
from convnext_dense.export.exporting import ExportOptions
from convnext_dense.export.formats.torch_file import TorchSession
from convnext_dense.inference.exporting.export_model import default_file
from convnext_dense.inference.exporting.scores import validation_score
from convnext_dense.results.image_input import ImageInput
from convnext_dense.results.result import Result
from convnext_dense.runtime import Model

EXACT = TOLERANCES[32]
PYTORCH_2_6 = torch.__version__.startswith('2.6.')


@pytest.fixture(scope='module')
def exported(detector, tmp_path_factory):
    """The demo's Mask R-CNN as an ONNX file."""
    if PYTORCH_2_6:
        pytest.skip('PyTorch 2.6 has no form of an FPN in ONNX')
    return detector.export(tmp_path_factory.mktemp('exports') / 'model.onnx')


class TestAFile:
    @pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
    def test_predicts_what_pytorch_predicts_by_either_runtime(self, exported, detector, photos, runtime):
        model = Model(exported, runtime, threads=1)
        assert model.classes == detector.classes and model.colors == detector.colors
        for photo in photos[:2]:
            found, expected = model.predict(photo), detector.predict(photo)
            assert len(expected) and np.abs(found.boxes - expected.boxes).max() < 1e-3
            assert np.array_equal(found.labels, expected.labels)
            assert (np.asarray(found.masks) != np.asarray(expected.masks)).mean() < 1e-3

    def test_takes_images_of_any_size_and_number(self, exported, detector):
        session, graph = Model(exported).session, GraphSession(detector)
        for shape in ((1, 64, 96, 3), (3, 131, 77, 3)):
            images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
            found, expected = session.run(dict(images=images)), graph.run(dict(images=images))
            np.testing.assert_allclose(found['boxes'], expected['boxes'], atol=1e-2)
            np.testing.assert_allclose(found['scores'], expected['scores'], atol=1e-5)

    def test_takes_an_array_as_it_takes_a_file(self, exported, photos):
        import cv2

        model, pixels = Model(exported), cv2.imread(str(photos[0]))
        for given, channels in ((pixels, 'bgr'), (pixels[..., ::-1], 'rgb')):
            assert np.array_equal(model.predict(given, channels).boxes, model.predict(photos[0]).boxes)

    @pytest.mark.full
    def test_of_torch_predicts_what_pytorch_predicts(self, detector, photos, tmp_path):
        file = detector.export(tmp_path / 'model.pt2', to='torch')
        found = Model(TorchSession(str(file))).predict(photos[0])
        assert np.abs(found.boxes - detector.predict(photos[0]).boxes).max() < 1e-3

    @pytest.mark.full
    @pytest.mark.parametrize('options', [dict(half=True), dict(int8=True)])
    @pytest.mark.parametrize('to', ['onnx', 'openvino'])
    def test_of_lower_precision_is_smaller_and_near(self, segmenter, photos, tmp_path, to, options):
        suffix = dict(onnx='.onnx', openvino='.xml')[to]
        whole = segmenter.export(tmp_path / f'whole{suffix}', to=to)
        calibrate = photos if 'int8' in options else ()
        small = segmenter.export(tmp_path / f'small{suffix}', to=to, calibrate=calibrate, **options)
        weights = [file if to == 'onnx' else file.with_suffix('.bin') for file in (small, whole)]
        assert weights[0].stat().st_size < 0.75 * weights[1].stat().st_size
        found = list(Model(small).stream(photos))
        assert compare_results([segmenter.predict(p) for p in photos], found, EXACT).pixels < 0.05

    @pytest.mark.full
    def test_of_one_shape_is_fed_images_of_that_shape(self, segmenter, photos, tmp_path):
        file = segmenter.export(tmp_path / 'model.onnx', shape=(64, 96), batch=1)
        model = Model(file)
        assert next(entry.shape for entry in model.session.session.get_inputs()) == [1, 64, 96, 3]
        found = model.predict(photos[0])
        assert found.semantic.shape == found.size


class TestTheCommand:
    def test_exports_and_checks(self, detector, photos, tmp_path):
        code, out, err = run_command(tmp_path, 'export', detector.checkpoint, '--check', photos[0])
        if PYTORCH_2_6:
            assert code == 2
            assert re.fullmatch(r'error: export: PyTorch 2\.6\S+ has no form of the model in ONNX: .{,200}\.\n', err)
            return
        assert code == 0
        assert (tmp_path / 'exports').exists()
        assert re.search(r'Compared with PyTorch:\n  images +1\n', out)

    @pytest.mark.full
    def test_says_where_a_file_was_not_checked(self, detector, tmp_path):
        code, _, err = run_command(tmp_path, 'export', detector.checkpoint, '--out', tmp_path / 'model.onnx')
        assert code == 0
        assert 'is not checked, because the validation set is not here; give images by --check' in err

    @pytest.mark.full
    def test_checks_all_features_of_a_program(self, segmenter, tmp_path):
        options = ['--to', 'torch', '--out', tmp_path / 'model.pt2', '--part', 'backbone']
        result = run_command(tmp_path, 'export', segmenter.checkpoint, *options)
        assert result.status == 0, result.err
        assert TorchSession(str(tmp_path / 'model.pt2')).names == ['stage_0', 'stage_1', 'stage_2', 'stage_3']

    @pytest.mark.full
    def test_checks_a_backbones_features(self, segmenter, tmp_path):
        code, out, _ = run_command(
            tmp_path, 'export', segmenter.checkpoint, '--out', tmp_path / 'model.onnx', '--part', 'backbone'
        )
        assert code == 0 and 'features differ by' in out
        names = [entry.name for entry in Model(tmp_path / 'model.onnx').session.session.get_outputs()]
        assert names == ['stage_0', 'stage_1', 'stage_2', 'stage_3']

    @pytest.mark.parametrize(
        ('arguments', 'sentence'),
        [
            (['--int8'], '--calibrate: int8 needs images'),
            (['--calibrate', 'photos'], '--calibrate: its images are for int8'),
            (['--half', '--int8', '--calibrate', 'photos'], 'half and int8 exclude each other.'),
            (['--to', 'torch', '--half'], 'keeps the precision of the model'),
            (['--to', 'tensorrt'], 'TensorRT builds an engine on the NVIDIA GPU that it is for'),
            (['--shape', '8', '64'], '8'),
            (['--batch', '0'], '0'),
            (['--out', '.'], 'is a folder; give a file'),
            (['--check', 'nowhere.jpg'], 'there is no file or folder nowhere.jpg'),
            (['--part', 'backbone', '--benchmark'], 'benchmark: it is of a whole model.'),
            (['--out', 'model.txt'], '--out: a file of onnx ends in .onnx, not in .txt; got model.txt.'),
            (['--benchmark', 'nowhere.onnx'], '--benchmark: nowhere.onnx is no exported model that is there'),
            (['--output', 'scores'], '--output: scores is of a segmenter, and this is a detector.'),
            (['--output', 'scores', '--part', 'backbone'], 'and this is a backbone.'),
            (['--masks', 'image', '--part', 'backbone'], '--masks: it is of a detector with masks'),
        ],
    )
    def test_refuses_in_a_sentence(self, detector, tmp_path, arguments, sentence):
        code, _, err = run_command(tmp_path, 'export', detector.checkpoint, *arguments)
        assert code == 2 and sentence in err and err.count('\n') == 1
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize('arguments', [['--check', 'notes.jpg'], ['--benchmark', 'model.onnx']])
    def test_a_file_that_is_there_stays_if_something_else_is_wrong(self, detector, tmp_path, arguments):
        for name in ('model.onnx', 'notes.jpg'):
            (tmp_path / name).write_text('mine')
        options = ['--out', 'model.onnx', *arguments]
        assert run_command(tmp_path, 'export', detector.checkpoint, *options).status == 2
        assert (tmp_path / 'model.onnx').read_text() == 'mine'

    @pytest.mark.parametrize(
        ('options', 'name'),
        [(dict(), '.onnx'), (dict(half=True), '_half.onnx'), (dict(to='openvino', int8=True), '_int8.xml')],
    )
    def test_each_precision_has_a_file_of_its_own(self, detector, options, name):
        assert default_file(detector, ExportOptions(**options)).name == detector.name + name

    @pytest.mark.parametrize(('out', 'file'), [('a', 'a.xml'), ('a.onnx', 'a.xml'), ('model-1.5', 'model-1.5.xml')])
    def test_a_name_with_a_dot_is_kept_whole(self, out, file):
        assert str(_place(out, ExportOptions('openvino'))) == file

    @pytest.mark.full
    def test_measures_pytorch_and_the_file(self, detector, coco, tmp_path):
        images = sorted((coco / 'val2017').iterdir())[:3]
        options = ['--check', *images, '--benchmark', '--out', tmp_path / 'model.onnx']
        code, out, _ = run_command(tmp_path, 'export', detector.checkpoint, *options)
        assert code == 0
        figures = json.loads((tmp_path / 'model.benchmark.json').read_text())
        ways = [row['way'] for row in figures['rows'] if 'failed' not in row]
        assert ways[0] == 'PyTorch' and ways[-1].endswith('model.onnx')
        assert all(row['p99_seconds'] >= row['p50_seconds'] > 0 for row in figures['rows'] if 'failed' not in row)
        assert (tmp_path / 'model.benchmark.html').exists() and 'times as fast' in out


def test_a_validation_is_scored_as_a_test_scores_it(detector, coco):
    cfg = detector.cfg.copy()
    cfg.val_dataloader, cfg.val_evaluator = cfg.test_dataloader, cfg.test_evaluator
    # What is true is found, and what is not, is not.
    from convnext_dense.inference.inputs import image_inputs

    with detector._scope():
        score = validation_score(cfg, lambda files: detector.stream(image_inputs(files)))
        nothing = validation_score(cfg, lambda files: (r.at_least(2) for r in detector.stream(image_inputs(files))))
    assert 0 <= nothing <= score <= 1


class TestCompareResults:
    def result(self, boxes, labels=None, scores=None):
        count = len(boxes)
        return Result(
            ImageInput('a'),
            (100, 100),
            ['a', 'b'],
            [(0, 0, 0)] * 2,
            boxes=np.array(boxes, np.float32).reshape(-1, 4),
            labels=np.array(labels or [0] * count),
            scores=np.array(scores or [0.9] * count, np.float32),
        )

    def test_finds_partners_in_any_order(self):
        first = self.result([[0, 0, 10, 10], [50, 50, 90, 90]])
        second = self.result([[50, 50, 90, 90.01], [0, 0, 10, 10]])
        difference = compare_results([first], [second], EXACT)
        assert difference.boxes == 4 and difference.unmatched == 0
        assert difference.is_within(EXACT)

    @pytest.mark.parametrize(
        'second',
        [
            dict(boxes=[]),
            dict(boxes=[[0, 0, 10, 10.5]]),
            dict(boxes=[[0, 0, 10, 10]], labels=[1]),
            dict(boxes=[[0, 0, 10, 10], [20, 20, 30, 30]]),
        ],
    )
    def test_finds_what_has_no_partner(self, second):
        difference = compare_results([self.result([[0, 0, 10, 10]])], [self.result(**second)], EXACT)
        assert difference.unmatched and not difference.is_within(EXACT)

    def test_counts_no_box_of_a_low_score(self):
        first = self.result([[0, 0, 10, 10]], scores=[0.29])
        assert compare_results([first], [self.result([])], EXACT).boxes == 0

    def test_finds_partners_of_boxes_without_an_area(self):
        results = [self.result([[5, 5, 5, 5]]), self.result([[5, 5, 5, 5.0001]])]
        assert compare_results(results[:1], results[1:], EXACT).unmatched == 0

    def test_counts_pixels(self):
        maps = np.zeros((100, 100), int)
        first, second = (replace(self.result([]), semantic=values) for values in (maps, maps + (np.eye(100) > 0)))
        difference = compare_results([first], [second], EXACT)
        assert difference.pixels == 0.01 and not difference.is_within(EXACT)
        assert difference.is_within(TOLERANCES[16])

    def test_has_rows_for_a_table(self):
        assert Difference(2, 4, 1, least_mask_iou=0.5).rows()[-1] == ('least IoU of masks', '0.5000')


@pytest.mark.parametrize(('name', 'value'), [('to', 'tflite'), ('part', 'neck'), ('masks', 'x'), ('output', 'x')])
def test_options_are_what_there_is(name, value):
    with pytest.raises(UsageError, match=f'{name} must be one of'):
        ExportOptions(**{name: value}).check()
