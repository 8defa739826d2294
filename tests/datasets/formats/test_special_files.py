"""A pipe, a device or a socket in place of a file of a dataset is refused at once, in each format."""

import os
import signal
import socket

import pytest
from helpers.data.changed_formats import write
from helpers.data.panoptic import write_panoptic
from helpers.data.pictures import shapes
from helpers.data.written_formats import MAP_FORMATS, OBJECT_FORMATS, write_mask_files

from convnext_dense.apis.data.data_check import check_data
from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.errors import UsageError

SECONDS = 20
# Of a detector's data, no classes of pixels are read.
UNREAD = 'SegmentationClass'
FORMS = [
    *((form, 'instances') for form in OBJECT_FORMATS),
    *((form, 'semantic') for form in MAP_FORMATS),
    ('panoptic', 'panoptic'),
    ('masks', 'instances'),
]


@pytest.fixture(autouse=True)
def _in_time():
    """Fail instead of waiting for a pipe."""

    def stop(*_):
        raise AssertionError(f'took longer than {SECONDS} s')

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def put_pipe(path):
    path.unlink()
    os.mkfifo(path)


def put_device(path):
    path.unlink()
    path.symlink_to('/dev/zero')


def put_socket(path):
    path.unlink()
    before = os.getcwd()
    # The name of a socket is short.
    os.chdir(path.parent)
    socket.socket(socket.AF_UNIX).bind(path.name[-90:])
    os.chdir(before)
    (path.parent / path.name[-90:]).rename(path)


def _write(form, root):
    if form == 'panoptic':
        write_panoptic(root)
    elif form == 'masks':
        write_mask_files(root, *shapes(classes=1))
    else:
        write(root, form)
    by_ending = {}
    for path in sorted(root.rglob('*')):
        if path.is_file() and path.parent.name != UNREAD:
            by_ending.setdefault((path.parent, path.suffix), path)
    return list(by_ending.values())


@pytest.mark.parametrize(('form', 'task'), FORMS)
def test_of_any_file_is_refused_at_once(form, task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i in range(len(_write(form, tmp_path / 'count'))):
        root = tmp_path / f'set{i}'
        path = _write(form, root)[i]
        (put_pipe, put_device, put_socket)[i % 3](path)
        said = ''
        try:
            said = str(describe_data(str(root), task, str(tmp_path / f'runs{i}/a')))
            if task != 'panoptic':
                said += str(check_data(str(root), task, workers=0).report.findings)
        except UsageError as error:
            said = str(error)
        # A finding may call it a missing image.
        assert any(word in said for word in ('pipe', 'device', 'socket', path.name, path.stem, path.parent.name)), path


@pytest.mark.parametrize('put', [put_pipe, put_device])
def test_of_the_place_itself_is_refused(put, tmp_path):
    for name in ('data.yaml', 'x.json'):
        (tmp_path / name).touch()
        put(tmp_path / name)
        with pytest.raises(UsageError, match=r'pipe|device'):
            describe_data(str(tmp_path / name), 'boxes', str(tmp_path / 'runs/a'))
