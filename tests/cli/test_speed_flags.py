"""`--speed` as its users run it."""

import re
import runpy
import sys
from pathlib import Path

import mmdet
import pytest
import torch
from helpers.demo_runs import DETECTOR, FEW_WORKERS, TEST, TRAIN, detector_options
from mmengine.config import Config

MMDETS_TRAIN = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'train.py'


@pytest.fixture
def config(tmp_path):
    """The demo detector, compiled without the minutes that generating code for a CPU takes."""
    file = tmp_path / 'detector.py'
    file.write_text(
        f"_base_ = ['{DETECTOR}']\n"
        "custom_hooks = [dict(type='convnext_dense.CompileHook', backend='eager')]\n"
        'randomness = dict(seed=0)\n'
    )
    return file


def losses(output):
    return [float(loss) for loss in re.findall(r'Epoch\(train\).* loss: ([\d.]+)', output)]


def test_the_dumped_config_trains_alike_in_mmdets_own_tool_and_is_tested(config, run_tool, tmp_path):
    ours = run_tool(
        TRAIN, config, '--speed', '--amp', '--work-dir', tmp_path / 'ours', '--cfg-options', *detector_options(1)
    )
    assert ours.returncode == 0, ours.stderr[-3000:]
    assert 'bf16 takes the place of the mixed precision' in ours.stdout
    assert 'Compiled in their first step: backbone, neck, rpn_head.' in ours.stdout
    assert 'laid out as channels-last' in ours.stdout
    dumped = tmp_path / 'ours' / config.name
    assert Config.fromfile(dumped).train_dataloader.pin_memory
    theirs = run_tool(MMDETS_TRAIN, dumped, '--work-dir', tmp_path / 'theirs')
    assert theirs.returncode == 0, theirs.stderr[-3000:]
    assert len(losses(ours.stdout)) == 4
    assert losses(theirs.stdout) == losses(ours.stdout)

    checkpoint = tmp_path / 'ours' / 'epoch_1.pth'
    assert not any('_orig_mod' in name for name in torch.load(checkpoint)['state_dict'])
    tested = run_tool(
        TEST, config, checkpoint, '--speed', '--work-dir', tmp_path / 'tested', '--cfg-options', *FEW_WORKERS
    )
    assert tested.returncode == 0, tested.stderr[-3000:]
    assert 'laid out as channels-last' in tested.stdout
    trained, evaluated = (re.findall(r'coco/bbox_mAP: (\S+)', run.stdout)[-1] for run in (ours, tested))
    assert float(evaluated) == pytest.approx(float(trained), abs=1e-3)


@pytest.mark.parametrize(
    ('tool', 'arguments', 'message'),
    [
        (TRAIN, ['--speed', 'turbo'], "--speed: there is no switch 'turbo'; choose from channels_last, bf16"),
        (TEST, ['nowhere.pth', '--speed', 'bf16'], 'bf16: it acts in training alone; testing has channels_last, comp'),
    ],
)
def test_a_wrong_switch_is_one_sentence_and_status_2(tool, arguments, message, monkeypatch, capsys, demo_data):
    monkeypatch.chdir(demo_data)
    monkeypatch.setattr(sys, 'argv', [str(tool), str(DETECTOR), *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(tool), run_name='__main__')
    assert end.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error:')]
    assert message in line
