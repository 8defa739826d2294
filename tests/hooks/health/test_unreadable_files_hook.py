"""Reports of samples that were replaced."""

import pytest
from helpers.toy_runs import train_toy

from convnext_dense.datasets import unreadable
from convnext_dense.errors import UsageError
from convnext_dense.hooks import UnreadableFilesHook
from convnext_dense.hooks.health import unreadable_files_hook


@pytest.fixture
def replace(monkeypatch):
    """Make the reader of batch after batch note these files."""

    def with_files(*batches):
        # The first call is that of the loader's start.
        notes = iter([(), *batches])

        def take():
            return [(file, f'{file}: the file is empty.') for file in next(notes, ())]

        monkeypatch.setattr(unreadable, 'take_notes', take)

    return with_files


class TestUnreadableFilesHook:
    def test_names_each_file_once(self, replace, tmp_path):
        replace(['a.png'], ['b.png', 'a.png'], [], ['b.png'])
        shown = train_toy(tmp_path, [UnreadableFilesHook()])
        rule = 'at most 3 of 8 samples may be replaced (UnreadableFilesHook.max_fraction=0.01)'
        for i, name in enumerate(['a.png', 'b.png'], 1):
            assert shown.count(name) == 1
            assert f'{name}: the file is empty. Another sample takes its place ({i} so far; {rule}).' in shown
        assert (
            tmp_path / 'unreadable_files.txt'
        ).read_text() == 'a.png: the file is empty.\nb.png: the file is empty.\n'

    def test_ends_the_run_with_the_list(self, replace, tmp_path):
        replace(['a.png', 'b.png'], ['c.png'], ['d.png'], ['e.png'])
        with pytest.raises(UsageError) as error:
            train_toy(tmp_path, [UnreadableFilesHook()])
        assert '4 samples cannot be read, and at most 3 of 8 samples may be replaced' in str(error.value)
        place = tmp_path / 'unreadable_files.txt'
        assert f'All are in {place}; the last: b.png: the file is empty. c.png' in str(error.value)
        assert len(place.read_text().splitlines()) == 4

    @pytest.mark.parametrize(('max_fraction', 'runs'), [(0.5, True), (0.4, False)])
    def test_allows_a_part_of_the_dataset(self, max_fraction, runs, replace, tmp_path):
        replace(['a', 'b', 'c', 'd'])
        hook = UnreadableFilesHook(max_fraction)
        if runs:
            train_toy(tmp_path, [hook])
        else:
            with pytest.raises(UsageError):
                train_toy(tmp_path, [hook])

    def test_goes_on_from_a_checkpoint(self, replace, tmp_path):
        first, second = UnreadableFilesHook(), UnreadableFilesHook()
        replace(['a.png', 'b.png'])
        train_toy(tmp_path / 'first', [first])
        second.load_state_dict(first.state_dict())
        replace(['b.png'], ['c.png'])
        shown = train_toy(tmp_path / 'second', [second])
        assert 'b.png' not in shown
        assert 'c.png: the file is empty. Another sample takes its place (3 so far' in shown

    def test_of_several_processes_knows_what_all_have_replaced(self, replace, tmp_path, monkeypatch):
        replace(['a.png'], [], ['b.png'])
        monkeypatch.setattr(unreadable_files_hook, 'STEPS_BETWEEN_MESSAGES', 2)
        monkeypatch.setattr(unreadable_files_hook, 'get_world_size', lambda: 2)
        others = iter([{'c.png': 'c.png: x.'}, {'d.png': 'd.png: x.'}])
        monkeypatch.setattr(unreadable_files_hook, 'all_gather_object', lambda own: [own, next(others)])
        with pytest.raises(UsageError, match='4 samples cannot be read'):
            train_toy(tmp_path, [UnreadableFilesHook()])

    @pytest.mark.parametrize('max_fraction', [-0.1, 1.5, float('nan')])
    def test_takes_a_part(self, max_fraction):
        with pytest.raises(UsageError, match='it is from 0 to 1'):
            UnreadableFilesHook(max_fraction)
