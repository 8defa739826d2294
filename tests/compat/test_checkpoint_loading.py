"""What torch's safe loader lets through."""

import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub

from convnext_dense.compat.checkpoint_loading import make_harmless
from convnext_dense.errors import CheckpointError
from convnext_dense.weights.storage.files import read_file


def round_trip(content, path):
    torch.save(content, path)
    return torch.load(path)


def test_log_histories_survive(tmp_path):
    hub = MessageHub('test')
    for loss in (3.0, 2.0, 1.0):
        hub.update_scalar('train/loss', loss)
    hub.update_info('iter', 3)
    hub.update_info('scores', np.arange(3.0))
    loaded = round_trip(hub.state_dict(), tmp_path / 'hub.pth')
    history = loaded['log_scalars']['train/loss']
    assert history.data[0].tolist() == [3, 2, 1]
    assert history.statistics('mean', 2) == 1.5
    assert loaded['runtime_info']['scores'].tolist() == [0, 1, 2]


def test_numpy_scalars_survive(tmp_path):
    content = {'mAP': np.float64(0.5), 'seed': np.int64(3), 'name': np.str_('x')}
    assert round_trip(content, tmp_path / 'scalars.pth') == content


def test_code_in_a_checkpoint_is_refused_and_does_not_run(code, tmp_path):
    torch.save({'state_dict': code(tmp_path / 'ran')}, tmp_path / 'bad.pth')
    with pytest.raises(pickle.UnpicklingError, match='open'):
        torch.load(tmp_path / 'bad.pth')
    assert not (tmp_path / 'ran').exists()


class Reaches:
    """Pickles to `getattr` on what an attacker could use."""

    def __init__(self, owner, name, function=getattr):
        self.call = function, (owner, name)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(('owner', 'name'), [(HistoryBuffer, '__init__'), (torch.Tensor, 'numpy'), (dict, 'get')])
def test_getattr_reaches_only_the_history_buffers_statistics(tmp_path, owner, name):
    torch.save(Reaches(owner, name), tmp_path / 'bad.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'bad.pth')


class TestStatisticsOfTheUser:
    """A function that a user registered on HistoryBuffer."""

    @pytest.fixture(autouse=True)
    def _registered(self, monkeypatch):
        monkeypatch.setattr(HistoryBuffer, '_statistics_methods', dict(HistoryBuffer._statistics_methods))
        HistoryBuffer.register_statistics(third_quartile)

    def test_is_not_saved(self, tmp_path, monkeypatch):
        torch.save(dict(log=HistoryBuffer([1.0, 2.0], [1, 1])), tmp_path / 'log.pth')
        monkeypatch.delitem(HistoryBuffer._statistics_methods, 'third_quartile')
        assert read_file(tmp_path / 'log.pth')['log'].current() == 2

    def test_is_read_from_mmengines_own_checkpoints(self, tmp_path, monkeypatch):
        monkeypatch.delattr(HistoryBuffer, '__getstate__')
        monkeypatch.setattr(HistoryBuffer, '__getstate__', _mmengines_state, raising=False)
        torch.save(dict(log=HistoryBuffer([1.0, 2.0], [1, 1])), tmp_path / 'log.pth')
        assert read_file(tmp_path / 'log.pth')['log'].statistics('third_quartile') == 1.75

    def test_is_not_called(self, tmp_path):
        torch.save(Reaches(1, 2, third_quartile), tmp_path / 'bad.pth')
        with pytest.raises(CheckpointError):
            read_file(tmp_path / 'bad.pth')


def third_quartile(history):
    return np.quantile(history.data[0], 0.75)


def _mmengines_state(history):
    return {**vars(history), 'statistics_methods': HistoryBuffer._statistics_methods}


@pytest.mark.parametrize(
    'kind',
    [float, np.float16, np.float32, np.int8, np.uint64, np.longdouble, np.complex64, np.bool_, np.str_],
)
def test_a_best_score_of_any_numpy_type_is_read(kind, tmp_path):
    content = dict(best_score=kind(1), scores=np.array([kind(1)]))
    loaded = round_trip(content, tmp_path / 'score.pth')
    assert loaded['best_score'] == kind(1)
    assert type(loaded['best_score']) is kind


class TestPathsInAMessageHub:
    """mmengine deletes the file or folder of a `best_ckpt` when there is a better one."""

    def resumed(self, source, **info):
        return make_harmless(dict(message_hub=dict(runtime_info=info)), str(source))['message_hub']['runtime_info']

    @pytest.mark.parametrize('value', ['/home/user', '/home/user/thesis.tex', '..', 3, ['a']])
    @pytest.mark.parametrize('key', ['best_ckpt', 'best_ckpt_mIoU'])
    def test_of_anything_but_checkpoints_are_removed(self, key, value, tmp_path):
        assert self.resumed(tmp_path / 'epoch_1.pth', **{key: value}) == {}

    def test_of_checkpoints_are_those_next_to_this_one(self, tmp_path):
        info = self.resumed(tmp_path / 'epoch_1.pth', best_ckpt='/elsewhere/best_mIoU_epoch_1.pth')
        assert info == dict(best_ckpt=str(tmp_path / 'best_mIoU_epoch_1.pth'))

    def test_of_folders_are_removed(self, tmp_path):
        (tmp_path / 'best_photos').mkdir()
        assert self.resumed(tmp_path / 'epoch_1.pth', best_ckpt=str(tmp_path / 'best_photos')) == {}

    def test_scores_and_numbers_of_other_types_are_removed(self):
        kept = dict(best_score=0.5, keep_ckpt_ids=[1, 2], iter=3)
        assert self.resumed('a.pth', **kept) == kept
        assert self.resumed('a.pth', best_score='high', keep_ckpt_ids=['../x']) == {}
