"""What was found in a large file is found again only when something has changed."""

import os
import stat
import time
from pathlib import Path

import msgspec
import pytest

from convnext_dense.datasets.cache import folder, keys
from convnext_dense.datasets.cache.findings import remember
from convnext_dense.datasets.cache.folder import VARIABLE, cache_folder

USER = os.getuid()


@pytest.fixture(autouse=True)
def _all_are_large(monkeypatch):
    monkeypatch.setattr(keys, 'LARGE_BYTES', 1)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'train.json'
    path.write_text('one')
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'annotations'


def _look(file: Path, what: object = None) -> tuple[str, bool]:
    """Return what is found in a file, and whether it was looked into."""
    looks = []

    def find() -> str:
        looks.append(file)
        return file.read_text()

    return remember('text', what, file, str, find), bool(looks)


class TestRemember:
    def test_looks_once(self, file, cache):
        assert [_look(file) for _ in range(2)] == [('one', True), ('one', False)]

    def test_looks_again_after_a_change_of_the_same_size(self, file, cache):
        _look(file)
        times = file.stat()
        file.write_text('two')
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert _look(file) == ('two', True)

    @pytest.mark.parametrize('other', [dict(a=1, b=(1,)), dict(a=1, b=[1.0]), dict(a=True, b=[1]), dict(a='1', b=[1])])
    def test_looks_again_for_other_arguments(self, other, file, cache):
        _look(file, dict(a=1, b=[1]))
        assert _look(file, dict(b=[1], a=1)) == ('one', False)
        assert _look(file, other) == ('one', True)

    def test_looks_again_by_another_version(self, file, cache, monkeypatch):
        _look(file)
        monkeypatch.setattr(keys, '__version__', '0')
        assert _look(file) == ('one', True)

    def test_keeps_nothing_of_a_small_file(self, file, cache, monkeypatch):
        monkeypatch.setattr(keys, 'LARGE_BYTES', 4)
        assert [_look(file)[1] for _ in range(2)] == [True, True]

    def test_keeps_nothing_by_what_is_no_plain_data(self, file, cache):
        assert [_look(file, Path)[1] for _ in range(2)] == [True, True]

    def test_keeps_nothing_of_a_file_that_changes_meanwhile(self, file, cache):
        def find() -> str:
            file.write_text('other')
            return 'one'

        assert remember('text', None, file, str, find) == 'one'
        assert _look(file) == ('other', True)

    def test_raises_what_looking_raises(self, file, cache):
        def find() -> str:
            raise ValueError('broken')

        for _ in range(2):
            with pytest.raises(ValueError, match='broken'):
                remember('text', None, file, str, find)

    @pytest.mark.parametrize('content', [b'', b'"on', b'7', b'\xff'])
    def test_looks_again_where_the_entry_is_damaged(self, content, file, cache):
        _look(file)
        (entry,) = cache.glob('*.json')
        entry.write_bytes(content)
        assert [_look(file) for _ in range(2)] == [('one', True), ('one', False)]

    def test_looks_again_where_it_no_longer_holds(self, file, cache):
        results = [remember('n', None, file, int, lambda i=i: i, lambda found: found > 1) for i in range(4)]
        assert results == [0, 1, 2, 2]

    def test_returns_what_json_cannot_hold(self, file, cache):
        with pytest.raises((TypeError, msgspec.MsgspecError, OverflowError)):
            msgspec.json.encode({(1, 2): Path})
        assert [remember('x', None, file, dict, lambda: {(1, 2): Path}) for _ in range(2)] == [{(1, 2): Path}] * 2


class TestCacheFolder:
    def test_is_this_users_alone(self, cache):
        assert cache_folder() == cache
        assert stat.S_IMODE(cache.stat().st_mode) == 0o700

    @pytest.mark.parametrize(
        ('variables', 'place'),
        [
            ({VARIABLE: '{}/a', 'XDG_CACHE_HOME': '{}/b'}, 'a'),
            ({VARIABLE: '', 'XDG_CACHE_HOME': '{}/b'}, 'b/convnext_dense'),
            ({VARIABLE: '', 'XDG_CACHE_HOME': '', 'HOME': '{}/c'}, 'c/.cache/convnext_dense'),
        ],
    )
    def test_is_where_the_environment_says(self, variables, place, tmp_path, monkeypatch):
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format(tmp_path))
        assert cache_folder() == tmp_path / place / 'annotations'

    @pytest.mark.parametrize('mode', [0o770, 0o707, 0o777])
    def test_is_not_used_if_others_can_write_to_it(self, mode, file, cache):
        cache.mkdir(parents=True)
        cache.chmod(mode)
        assert cache_folder() is None
        assert [_look(file)[1] for _ in range(2)] == [True, True]

    def test_is_not_used_if_another_user_owns_it(self, file, cache, monkeypatch):
        _look(file)
        monkeypatch.setattr(os, 'getuid', lambda: USER + 1)
        assert cache_folder() is None
        assert _look(file) == ('one', True)

    def test_is_not_used_if_it_cannot_be_made(self, file, tmp_path, monkeypatch):
        monkeypatch.setenv(VARIABLE, str(file))
        assert cache_folder() is None
        assert _look(file) == ('one', True)

    def test_keeps_nothing_on_a_full_disk(self, file, cache, monkeypatch):
        def write(path: Path, content: bytes) -> int:
            path.touch()
            raise OSError(28, 'No space left on device')

        monkeypatch.setattr(Path, 'write_bytes', write)
        assert [_look(file) for _ in range(2)] == [('one', True)] * 2
        assert not [path for path in cache.iterdir() if path.suffix != '.lock']

    def test_loses_what_is_old_and_nothing_else(self, file, cache):
        _look(file)
        (entry,) = cache.glob('*.json')
        unfinished = cache / f'{entry.stem}.7.unfinished'
        unfinished.mkdir()
        (unfinished / 'samples').touch()
        own = cache / 'notes.json'
        own.touch()
        day, month = 25 * 3600, 31 * 24 * 3600
        for path, age in ((unfinished, day), (own, month), (entry, day)):
            os.utime(path, (time.time() - age,) * 2)
        folder.delete_old(cache)
        assert entry.exists()
        assert own.exists()
        assert not unfinished.exists()
        os.utime(entry, (time.time() - month,) * 2)
        folder.delete_old(cache)
        assert not entry.exists()
