"""Checkpoints of strangers, by every way in which one is read."""

import os

import pytest
import torch
from helpers.weights.backbones_and_sources import v1
from helpers.weights.hostile_checkpoints import REFUSED, change, raise_zip_version, save_hostile, save_zip_bomb
from mmengine.logging import HistoryBuffer
from mmengine.model import PretrainedInit
from mmengine.runner import load_checkpoint
from torch import nn

from convnext_dense.compat import checkpoint_content
from convnext_dense.errors import CheckpointError, UsageError
from convnext_dense.weights import convert_checkpoint, inspect_checkpoint, load_from_anywhere, load_pretrained
from convnext_dense.weights.matching import printable
from convnext_dense.weights.storage.sources import read_weights

WAYS = {
    'weights inspect': lambda path, folder: inspect_checkpoint(path),
    'weights convert': lambda path, folder: convert_checkpoint(path, folder / 'out.pth'),
    'init_cfg of a ConvNeXt': lambda path, folder: load_pretrained(v1(), path),
    'init_cfg of another module': lambda path, folder: PretrainedInit(path)(nn.Linear(1, 1)),
    "mmengine's load_checkpoint": lambda path, folder: load_checkpoint(nn.Linear(1, 1), path),
    'load_from and resume': lambda path, folder: load_from_anywhere(path),
}


@pytest.fixture(scope='module')
def good():
    weights = {f'backbone.{name}': tensor for name, tensor in v1().state_dict().items()}
    hub = dict(log_scalars={'train/loss': HistoryBuffer([1.0], [1])}, runtime_info={}, resumed_keys={})
    return dict(meta=dict(epoch=1, iter=2), state_dict=weights, message_hub=hub)


@pytest.fixture(scope='module')
def hostile(good, tmp_path_factory):
    """The files by what is wrong with them, and the file that none must make."""
    folder = tmp_path_factory.mktemp('hostile')
    ran = folder / 'ran'
    files = {how: save_hostile(change(good, how, ran), folder / f'{how.__name__}.pth') for how in REFUSED}
    files['zip bomb'] = save_zip_bomb(good, folder / 'bomb.pth', 2**26)
    files['zip bomb of another version'] = raise_zip_version(save_zip_bomb(good, folder / 'version.pth', 2**26))
    (folder / 'short.pth').write_bytes((folder / 'itself.pth').read_bytes()[:-5000])
    os.mkfifo(folder / 'pipe.pth')
    (folder / 'zero.pth').symlink_to('/dev/zero')
    special = {'a pipe': folder / 'pipe.pth', 'a device': folder / 'zero.pth'}
    return files | {'cut short': folder / 'short.pth'} | special, ran


@pytest.mark.parametrize(
    'how',
    [*REFUSED, 'zip bomb', 'zip bomb of another version', 'cut short', 'a pipe', 'a device'],
    ids=lambda how: getattr(how, '__name__', how),
)
def test_is_refused_by_every_way_and_runs_nothing(how, hostile, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_content, 'MAX_VALUES', 50_000)
    files, ran = hostile
    for read in WAYS.values():
        with pytest.raises(CheckpointError) as error:
            read(str(files[how]), tmp_path)
        assert str(files[how]) in str(error.value)
        assert '\n' not in str(error.value)
    assert not ran.exists()
    assert not (tmp_path / 'out.pth').exists()


def test_a_good_one_is_read_by_every_way(good, save, tmp_path):
    path = save(good)
    for read in WAYS.values():
        read(path, tmp_path)


@pytest.mark.parametrize('state_dict', ['weights', {1: torch.zeros(1)}, None, [torch.zeros(1)]])
def test_weights_of_another_form_are_named(state_dict, save):
    path = save(dict(state_dict=state_dict))
    with pytest.raises(CheckpointError, match='holds no weights by name'):
        load_checkpoint(nn.Linear(1, 1), path)


class TestTheConfigInMeta:
    CODE = "__import__('pathlib').Path({!r}).write_text('ran')\n"

    def test_does_not_reach_mmengine(self, good, save):
        path = save({**good, 'meta': dict(epoch=1, iter=2, config=self.CODE, cfg=self.CODE)})
        assert load_from_anywhere(path)['meta']['config'] == self.CODE
        from mmengine.runner import CheckpointLoader

        assert CheckpointLoader.load_checkpoint(path)['meta'] == dict(epoch=1, iter=2, cfg=self.CODE)

    def test_is_not_converted(self, good, save, tmp_path):
        convert_checkpoint(save({**good, 'meta': dict(config=self.CODE, cfg='x = 1')}), tmp_path / 'out.pth')
        assert torch.load(tmp_path / 'out.pth')['meta'] == dict(cfg='x = 1')


def test_tied_and_expanded_weights_are_no_bomb(save, tmp_path):
    weight = torch.randn(2**20)
    tied = dict(a=weight, b=weight, c=weight.view(2, -1).t(), d=torch.zeros(1).expand(2**20))
    assert torch.equal(read_weights(save(tied))['b'], weight)


@pytest.mark.parametrize(
    'name', ['stages.9999999999.0.gamma', 'stages.3.9999999999.gamma', f'stages.3.{"9" * 500}.gamma']
)
def test_a_number_of_blocks_that_no_memory_holds_is_refused(name, good, save):
    path = save({**good, 'state_dict': {**good['state_dict'], f'backbone.{name}.gamma': torch.zeros(1)}})
    assert 'the backbone has no place for' in inspect_checkpoint(path).problem
    with pytest.raises(CheckpointError, match='the backbone has no place for'):
        load_pretrained(v1(), path)


def test_dimensions_that_no_memory_holds_are_refused(good, save):
    weights = {**good['state_dict'], 'backbone.stages.0.0.dwconv.weight': torch.zeros(2**60, 0, 1, 1)}
    with pytest.raises(UsageError, match='the backbone of the config'):
        inspect_checkpoint(save({**good, 'state_dict': weights}))


def test_safetensors_of_a_million_tensors_are_refused(tmp_path):
    path = tmp_path / 'x.safetensors'
    path.write_bytes((2**23).to_bytes(8, 'little') + b' ' * 2**23)
    with pytest.raises(CheckpointError, match='its header would have 8,388,608 bytes'):
        read_weights(str(path))


class TestWeightsThatAreNotFinite:
    @pytest.fixture
    def path(self, good, save):
        weights = good['state_dict']['backbone.norm3.bias'].clone()
        weights[:2] = torch.tensor([float('nan'), -float('inf')])
        return save({**good, 'state_dict': {**good['state_dict'], 'backbone.norm3.bias': weights}})

    def test_are_counted_by_inspect(self, path):
        inspection = inspect_checkpoint(path)
        assert 'has 2 NaN or infinite values in 1 of' in inspection.problem
        assert 'the backbone would not load' in inspection.text

    def test_are_not_converted(self, path, tmp_path):
        with pytest.raises(CheckpointError, match='has 2 NaN or infinite values in 1 of'):
            convert_checkpoint(path, tmp_path / 'out.pth')
        assert not (tmp_path / 'out.pth').exists()


def test_control_characters_do_not_reach_the_terminal(good, save):
    state_dict = {**good['state_dict'], 'neck\x1b[2J.weight': torch.zeros(1)}
    text = inspect_checkpoint(save({**good, 'state_dict': state_dict, 'top\x1b[2J': 1})).text
    assert '\x1b' not in text
    assert r'neck\x1b[2J' in text


def test_long_texts_do_not_fill_the_terminal():
    assert len(printable('x' * 10**6)) < 2000


@pytest.mark.parametrize(
    'scheme',
    [
        's3://x/a.pth', 'petrel://x/a.pth', 'pavi://a', 'open-mmlab://nope', 'mmcls://nope', 'modelzoo://x',
        'nobody://x',
    ],
)  # fmt: skip
def test_an_address_that_nothing_reads_is_named(scheme):
    with pytest.raises(CheckpointError) as error:
        read_weights(scheme)
    assert scheme in str(error.value)
    assert '\n' not in str(error.value)
