"""`convnext-dense compare`, and `--backbone` in OpenMMLab's own tools."""

import json
from pathlib import Path

import mmdet
import mmseg
import pytest
from helpers.demo_runs import DETECTOR, FEW_WORKERS, SEGMENTER, detector_options, segmenter_options

OPENMMLABS_TRAIN = {
    package.__name__: Path(package.__file__).parent / '.mim' / 'tools' / 'train.py' for package in (mmdet, mmseg)
}


@pytest.mark.e2e
@pytest.mark.parametrize(
    ('config', 'backbone', 'options', 'package'),
    [
        (DETECTOR, 'timm/resnet10t', detector_options(1), 'mmdet'),
        (SEGMENTER, 'timm/vit_tiny_patch16_224(depth=2)', segmenter_options(1), 'mmseg'),
    ],
)
def test_the_resolved_config_runs_in_openmmlabs_tool(config, backbone, options, package, command, run_python, tmp_path):
    ours = command(
        'train', config, '--backbone', backbone, '--work-dir', tmp_path / 'ours',
        '--cfg-options', *options, 'model.backbone.init_cfg=None', 'model.backbone.norm_eval=False',
    )  # fmt: skip
    assert ours.status == 0, ours.err[-3000:]
    theirs = run_python(OPENMMLABS_TRAIN[package], tmp_path / 'ours' / config.name, '--work-dir', tmp_path / 'theirs')
    assert theirs.returncode == 0, theirs.stderr[-3000:]
    assert list((tmp_path / 'theirs').glob('*.pth'))
    # The same seedless recipe on the same data, so the same layers in the same groups. Our terminal does not show them.
    (log,) = (tmp_path / 'ours').rglob('*.log')
    groups = [line.split(' INFO - ')[1] for line in log.read_text().splitlines() if 'INFO - layer_' in line]
    assert len(groups) > 3
    assert groups == [line.split(' INFO - ')[1] for line in theirs.stdout.splitlines() if 'INFO - layer_' in line]


@pytest.mark.e2e
def test_a_comparison_trains_scores_and_continues(command, tmp_path):
    arguments = [
        'compare', DETECTOR, '--from-scratch', '--shape', 128, 128, '--work-dir', tmp_path,
        '--cfg-options', *FEW_WORKERS, 'train_cfg.max_epochs=1', 'train_dataloader.batch_size=8',
        'default_hooks.checkpoint.interval=1', '--backbones', 'timm/resnet10t',
    ]  # fmt: skip
    result = command(*arguments)
    assert result.status == 0, result.err[-3000:]
    assert 'timm/resnet10t' in result.out.splitlines()[-3]
    (row,) = json.loads((tmp_path / 'comparison.json').read_text())['rows']
    assert row['scores'].keys() == {'box AP', 'mask AP'}
    assert row['images_per_second'][0] > 0
    assert row['peak_memory'][0] > 2**20 * 100
    # As if it had been stopped after its last checkpoint: only the validation is left to do.
    cost = tmp_path / 'timm-resnet10t' / 'seed-0' / 'training_cost.json'
    before = json.loads(cost.read_text())
    cost.unlink()
    assert command(*arguments).status == 0
    after = json.loads(cost.read_text())
    for key in ('metrics', 'iterations', 'images_per_second', 'seconds'):
        assert after[key] == pytest.approx(before[key]), key
