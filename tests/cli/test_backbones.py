"""`--backbone` and the comparison as their users run them."""

import json
import re
import runpy
import sys
from pathlib import Path

import mmdet
import mmseg
import pytest
from helpers.demo_runs import DETECTOR, FEW_WORKERS, ROOT, SEGMENTER, TRAIN, detector_options, segmenter_options

COMPARE = ROOT / 'tools' / 'compare_backbones.py'
OPENMMLABS_TRAIN = {
    package.__name__: Path(package.__file__).parent / '.mim' / 'tools' / 'train.py' for package in (mmdet, mmseg)
}


@pytest.mark.parametrize(
    ('config', 'backbone', 'options', 'package'),
    [
        (DETECTOR, 'timm/resnet10t', detector_options(1), 'mmdet'),
        (SEGMENTER, 'timm/vit_tiny_patch16_224(depth=2)', segmenter_options(1), 'mmseg'),
    ],
)
def test_the_resolved_config_runs_unchanged_in_openmmlabs_own_tool(
    config, backbone, options, package, run_tool, tmp_path
):
    ours = run_tool(
        TRAIN, config, '--backbone', backbone, '--work-dir', tmp_path / 'ours',
        '--cfg-options', *options, 'model.backbone.init_cfg=None', 'model.backbone.norm_eval=False',
    )  # fmt: skip
    assert ours.returncode == 0, ours.stderr[-3000:]
    theirs = run_tool(OPENMMLABS_TRAIN[package], tmp_path / 'ours' / config.name, '--work-dir', tmp_path / 'theirs')
    assert theirs.returncode == 0, theirs.stderr[-3000:]
    assert list((tmp_path / 'theirs').glob('*.pth'))
    # The same seedless recipe on the same data, so the same layers in the same groups.
    groups = [line.split(' INFO - ')[1] for line in ours.stdout.splitlines() if 'INFO - layer_' in line]
    assert len(groups) > 3
    assert groups == [line.split(' INFO - ')[1] for line in theirs.stdout.splitlines() if 'INFO - layer_' in line]


def test_a_comparison_trains_scores_and_goes_on(run_tool, tmp_path, demo_data):
    arguments = [
        COMPARE, DETECTOR, '--from-scratch', '--shape', 128, 128, '--work-dir', tmp_path,
        '--cfg-options', *FEW_WORKERS, 'train_cfg.max_epochs=1', 'train_dataloader.batch_size=8',
        'default_hooks.checkpoint.interval=1', '--backbones', 'timm/resnet10t',
    ]  # fmt: skip
    result = run_tool(*arguments)
    assert result.returncode == 0, result.stderr[-3000:]
    assert 'timm/resnet10t' in result.stdout.splitlines()[-3]
    (row,) = json.loads((tmp_path / 'comparison.json').read_text())['rows']
    assert row['scores'].keys() == {'box AP', 'mask AP'}
    assert row['images_per_second'][0] > 0
    assert row['peak_memory'][0] > 2**20 * 100
    # As if it had been stopped after its last checkpoint: only the validation is left to do.
    cost = tmp_path / 'timm-resnet10t' / 'seed-0' / 'training_cost.json'
    before = json.loads(cost.read_text())
    cost.unlink()
    assert run_tool(*arguments).returncode == 0
    after = json.loads(cost.read_text())
    for key in ('metrics', 'iterations', 'images_per_second', 'seconds'):
        assert after[key] == pytest.approx(before[key]), key


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([TRAIN, DETECTOR, '--backbone', 'timm/resnet5o'], "--backbone timm/resnet5o: timm .* has no model 'resnet5o'"),
        ([COMPARE, DETECTOR, '--backbones', 'convnext_atto', 'convnext_atto'], 'named twice'),
    ],
)
def test_a_wrong_backbone_is_one_sentence_and_status_2(arguments, message, monkeypatch, capsys, demo_data):
    monkeypatch.chdir(demo_data)
    monkeypatch.setattr(sys, 'argv', list(map(str, arguments)))
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(arguments[0]), run_name='__main__')
    assert end.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error:')]
    assert re.search(message, line)
