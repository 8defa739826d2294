"""What torch's safe loader lets through."""

import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub


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

    def __init__(self, owner, name):
        self.arguments = owner, name

    def __reduce__(self):
        return getattr, self.arguments


@pytest.mark.parametrize(('owner', 'name'), [(HistoryBuffer, '__init__'), (torch.Tensor, 'numpy'), (dict, 'get')])
def test_getattr_reaches_only_the_history_buffers_statistics(tmp_path, owner, name):
    torch.save(Reaches(owner, name), tmp_path / 'bad.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'bad.pth')
