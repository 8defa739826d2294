"""`--speed` as its users run it."""

import re
from pathlib import Path

import mmdet
import pytest
import torch
from helpers.demo_runs import DETECTOR, FEW_WORKERS, detector_options
from mmengine.config import Config

MMDETS_TRAIN = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'train.py'
# mmengine and we draw otherwise by one seed: nothing is flipped, and every anchor and proposal is a sample.
NO_CHANCE = """
_base_ = ['{base}']
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='mmdet.PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape')),
]))
all_samples = dict(sampler=dict(num=10**6))
model = dict(train_cfg=dict(rpn=all_samples, rcnn=all_samples))
custom_hooks = [dict(type='convnext_dense.CompileHook', backend='eager')]
randomness = dict(seed=0)
"""


@pytest.fixture
def config(tmp_path):
    """The demo detector without chance, compiled without the minutes that generating code for a CPU takes."""
    file = tmp_path / 'detector.py'
    file.write_text(NO_CHANCE.format(base=DETECTOR))
    return file


def losses(output: str) -> list[float]:
    return [float(loss) for loss in re.findall(r'Epoch\(train\).* loss: ([\d.]+)', output)]


@pytest.mark.e2e
def test_the_dumped_config_trains_alike_in_mmdets_tool(config, run_python, tmp_path):
    # In processes of their own: earlier compilations in this one would be found again.
    def run(*words):
        done = run_python(*words)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    command = ('-m', 'convnext_dense')
    options = ('--cfg-options', *detector_options(1))
    ours = run(*command, 'train', config, '--speed', '--amp', '--work-dir', tmp_path / 'ours', *options)
    assert "bf16 replaces the config's mixed precision" in ours
    (log,) = (tmp_path / 'ours').glob('*/*.log')
    assert 'Compiled in their first step: backbone, neck, rpn_head.' in log.read_text()
    assert 'laid out as channels-last' in log.read_text()
    dumped = tmp_path / 'ours' / config.name
    assert Config.fromfile(dumped).train_dataloader.pin_memory
    theirs = run(MMDETS_TRAIN, dumped, '--work-dir', tmp_path / 'theirs')
    assert len(losses(ours)) == 4
    assert losses(theirs) == losses(ours)

    checkpoint = tmp_path / 'ours' / 'epoch_1.pth'
    assert not any('_orig_mod' in name for name in torch.load(checkpoint)['state_dict'])
    options = ('--work-dir', tmp_path / 'tested', '--cfg-options', *FEW_WORKERS)
    tested = run(*command, 'test', config, checkpoint, '--speed', *options)
    (log,) = (tmp_path / 'tested').glob('*/*.log')
    assert 'laid out as channels-last' in log.read_text()
    trained, evaluated = (re.findall(r'coco/bbox_mAP: (\S+)', text)[-1] for text in (ours, tested))
    assert float(evaluated) == pytest.approx(float(trained), abs=1e-3)
