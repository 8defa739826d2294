"""Recorded steps that come from a stranger."""

import copy

import pytest
import torch
from helpers.commands import run_command
from helpers.demo_runs import SEGMENTER, segmenter_options
from helpers.planted.bad_steps import nan_pixel

from convnext_dense.apis import replay
from convnext_dense.errors import UsageError
from convnext_dense.training.steps.recorded_step import read_step


@pytest.fixture(scope='module')
def kept(tmp_path_factory, demo_data):
    """A step that a run of the demo segmenter has kept."""
    folder = tmp_path_factory.mktemp('kept')
    with nan_pixel(step=1):
        run_command(demo_data, 'train', SEGMENTER, '--work-dir', folder, '--cfg-options', *segmenter_options(1))
    return read_step(folder / 'non_finite_step_1.pt')


@pytest.fixture
def changed(kept, tmp_path):
    """Write the step with something changed; return the file."""

    def write(change):
        step = copy.deepcopy(kept)
        change(step)
        step.write(tmp_path / 'step.pt')
        return tmp_path / 'step.pt'

    return write


def at(*keys, value):
    """Set a value of a step, by names of fields and keys."""

    def change(step):
        place = vars(step)
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


class TestReplay:
    def test_is_the_same(self, changed):
        assert replay(changed(lambda step: None)).is_same

    def test_leaves_the_process_as_it_was(self, changed):
        before = torch.get_rng_state(), torch.get_num_threads()
        file = changed(at('threads', value=1))
        replay(file)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert torch.get_num_threads() == before[1]


CALL = "__import__('pathlib').Path('ran').touch()"
BACKBONE = ('config', 'model', 'backbone')


class TestHostileFiles:
    @pytest.mark.parametrize(
        'change',
        [
            at(*BACKBONE, value=dict(type='os.mkdir', path='ran')),
            at(*BACKBONE, value=dict(type='os.system', command='touch ran')),
            at(*BACKBONE, value=dict(type='antigravity.Model')),
            at(*BACKBONE, 'type', value='mmdet.CameraMotionCompensation'),
            at('config', 'model', 'decode_head', 'loss_decode', value=dict(type='CrossEntropyLoss', loss_name=CALL)),
            at('config', 'optim_wrapper', 'constructor', value='os.mkdir'),
            at('config', 'optim_wrapper', 'type', value='os.mkdir'),
            at('config', 'model', value='model'),
            at('config', 'default_scope', value='os'),
            at('batch', value=[1, 2]),
            at('batch', value={}),
            at('weights', value={}),
            at('weights', 'backbone.downsample_layers.0.0.weight', value=torch.zeros(3)),
            at('weights', 'backbone.downsample_layers.0.0.weight', value='text'),
            at('optimizer', value=dict(state={}, param_groups=[])),
            at('optimizer', value={}),
            at('rng', value={}),
            at('rng', 'torch', value=torch.zeros(3)),
            at('counts', value=['a', None]),
            at('counts', value=[]),
            at('threads', value=-5),
            at('losses', value={'loss': 'x' * 10}),
            at('losses', value=[1]),
            at('images', value=[{1: 2}]),
            at('process', value=[]),
            at('attributes', value={'backbone': 3}),
            at('info', value={'iter': 'x'}),
            at('step', value='one'),
            at('gradients', value=7),
        ],
    )
    def test_run_nothing_and_end_in_a_sentence(self, changed, change, tmp_path, demo_data, monkeypatch):
        monkeypatch.chdir(tmp_path)
        file = changed(change)
        result = run_command(tmp_path, 'replay', file)
        assert result.status in (0, 1, 2)
        assert 'Traceback' not in result.err
        if result.status:
            assert result.error
        assert not (tmp_path / 'ran').exists()

    @pytest.mark.parametrize('kind', ['os.mkdir', 'os.system', 'subprocess.run', 'nowhere.Model'])
    def test_no_type_is_imported(self, changed, kind):
        with pytest.raises(UsageError, match='cannot be made again'):
            replay(changed(at(*BACKBONE, value=dict(type=kind))))

    def test_a_call_in_a_text_is_refused(self, changed):
        with pytest.raises(UsageError, match='has a call in a text'):
            replay(changed(at(*BACKBONE, 'type', value=CALL)))

    def test_weights_are_fetched_from_nowhere(self, changed, monkeypatch):
        file = changed(at(*BACKBONE, 'init_cfg', value=dict(type='Pretrained', checkpoint='https://example.org/a.pth')))
        assert replay(file).is_same

    def test_a_pickle_is_refused(self, tmp_path):
        torch.save(dict(form='a step of convnext_dense', batch=print), tmp_path / 'step.pt')
        with pytest.raises(UsageError, match='could run code'):
            replay(tmp_path / 'step.pt')
