"""tools/benchmark_eval.py, run as a user runs it."""

import json
import runpy
import sys

import pytest
from helpers.demo_runs import DETECTOR, FEW_WORKERS, ROOT, SEGMENTER
from mmseg.models.segmentors import EncoderDecoder

TOOL = ROOT / 'tools' / 'benchmark_eval.py'


@pytest.fixture
def run(demo_data, monkeypatch, capsys):
    def run_tool(*arguments):
        monkeypatch.chdir(demo_data)
        monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, arguments)])
        runpy.run_path(str(TOOL), run_name='__main__')
        return capsys.readouterr().out

    return run_tool


def test_prints_the_split_and_writes_it(run, tmp_path):
    out = tmp_path / 'figures' / 'eval.json'
    printed = run(
        DETECTOR, '--images', 3, '--against-mmdet', '--out', out,
        '--cfg-options', *FEW_WORKERS, 'test_dataloader.batch_size=1', 'model.test_cfg.rcnn.score_thr=0.0',
    )  # fmt: skip
    figures = json.loads(out.read_text())
    assert f'{figures["images_per_second"]:.2f} images/s' in printed
    assert 'roi_head.mask_head.predict_by_feat' in printed
    assert 'times as fast' in printed
    assert figures['config'] == str(DETECTOR)
    assert figures['seconds'].keys() == {'data', 'model', 'post-processing', 'encoding'}
    assert figures['seconds']['model']['median'] > 0
    assert figures['against_mmdet']['largest_difference'] <= 1e-6
    assert figures['peak_memory'] > 0
    assert figures['machine']['versions']['pycocotools']


def test_times_what_the_switches_make_of_it(run, tmp_path, monkeypatch):
    contiguous = []
    predict = EncoderDecoder.predict

    def watched(model, *arguments):
        contiguous.append(model.decode_head.fpn_bottleneck.conv.weight.is_contiguous())
        return predict(model, *arguments)

    monkeypatch.setattr(EncoderDecoder, 'predict', watched)
    out = tmp_path / 'eval.json'
    for speed in ([], ['--speed', 'channels_last']):
        run(SEGMENTER, '--images', 1, *speed, '--out', out, '--cfg-options', *FEW_WORKERS)
        assert json.loads(out.read_text())['switches'] == speed[1:]
    assert contiguous == [True, False]


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['no.py'], 'config: there is no file no.py'),
        ([SEGMENTER, '--images', '-1'], '--images must be positive; got -1'),
        ([SEGMENTER, '--speed', 'bf16'], '--speed bf16: it acts in training alone'),
        ([SEGMENTER, '--checkpoint', 'no.pth'], '--checkpoint: there is no file no.pth'),
        ([SEGMENTER, '--cfg-options', 'test_dataloader.dataset.data_root=/nowhere'], 'there is no /nowhere'),
    ],
)
def test_a_mistake_is_one_line_and_exits_with_2(run, capsys, arguments, says):
    with pytest.raises(SystemExit) as end:
        run(*arguments)
    assert end.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('error: ')
    assert says in error
