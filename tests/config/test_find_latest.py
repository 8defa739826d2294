"""Which checkpoint of a work dir a run resumes from."""

import pytest
import torch

from convnext_dense.config.resume import find_latest
from convnext_dense.errors import UsageError


@pytest.fixture
def save(tmp_path):
    def save_at(name, steps):
        torch.save(dict(meta=dict(iter=steps), state_dict={'a': torch.rand(5000)}), tmp_path / name)
        (tmp_path / 'last_checkpoint').write_text(f'/elsewhere/{name}')
        return tmp_path / name

    return save_at


def zero(file):
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    file.write_bytes(content)


class TestFindLatest:
    def test_takes_the_named_one_of_a_folder_that_was_moved(self, save, tmp_path):
        save('epoch_3.pth', 30)
        last = save('epoch_2.pth', 20)
        assert find_latest(tmp_path) == (last, '')

    def test_passes_over_one_with_64_zeroes_in_its_middle(self, save, tmp_path):
        good = save('epoch_2.pth', 20)
        zero(save('epoch_3.pth', 30))
        file, remark = find_latest(tmp_path)
        assert file == good
        assert 'epoch_3.pth is damaged' in remark
        assert f'resuming from {good}' in remark

    @pytest.mark.parametrize('steps', [25, 35])
    def test_compares_epochs_with_steps(self, steps, save, tmp_path):
        stopped = save(f'stopped_iter_{steps}.pth', steps)
        epoch = save('epoch_3.pth', 30)
        save('epoch_2.pth', 20)
        (tmp_path / 'last_checkpoint').unlink()
        file, remark = find_latest(tmp_path)
        assert file == (stopped if steps == 35 else epoch)
        assert 'last_checkpoint is missing' in remark

    def test_takes_none_if_all_are_damaged(self, save, tmp_path):
        for number in range(3):
            zero(save(f'iter_{number}.pth', number))
        with pytest.raises(UsageError, match='no other checkpoint'):
            find_latest(tmp_path)
