"""Files of a test: whole or not at all, and no two by one name."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convnext_dense.errors import UsageError
from convnext_dense.evaluation.output_files import OutputNames, write_whole

PARTS = st.sampled_from(['a', 'b', 'a.b', 'c d'])
PATHS = st.builds(
    lambda folders, name, suffix: '/'.join([*folders, name + suffix]),
    st.lists(PARTS, max_size=3),
    PARTS,
    st.sampled_from(['.jpg', '.png', '', '.JPG']),
)


class TestOutputNames:
    @settings(max_examples=50, deadline=None)
    @given(st.lists(PATHS, min_size=1, max_size=8, unique=True), st.sampled_from([None, '.png']))
    def test_no_two_images_share_a_name_and_none_leaves_the_folder(self, paths, suffix):
        names = OutputNames(paths, suffix)
        files = [names[path].as_posix() for path in paths]
        assert len(set(files)) == len(paths)
        assert all(not os.path.isabs(file) and '..' not in file.split('/') for file in files)

    def test_images_of_one_folder_need_none(self):
        assert OutputNames(['data/val/1.jpg', 'data/val/2.jpg'])['data/val/2.jpg'].as_posix() == '2.jpg'

    def test_an_image_outside_is_named_by_its_whole_path(self):
        name = OutputNames(['data/a/1.jpg', 'data/b/1.jpg'])['/elsewhere/1.jpg']
        assert name.as_posix() == 'elsewhere/1.jpg'


class TestWriteWhole:
    def test_a_file_that_fails_leaves_nothing_and_keeps_the_old_one(self, tmp_path):
        path = tmp_path / 'out.pkl'
        path.write_text('old')
        with (
            pytest.raises(UsageError, match=r'out: .*out\.pkl cannot be written: No space left'),
            write_whole(path, 'out') as file,
        ):
            file.write_text('half')
            raise OSError(28, 'No space left on device')
        assert path.read_text() == 'old'
        assert list(tmp_path.iterdir()) == [path]

    def test_a_device_keeps_its_place(self, tmp_path):
        os.mkfifo(tmp_path / 'pipe')
        with pytest.raises(UsageError, match='it is a named pipe'), write_whole(tmp_path / 'pipe', 'out') as file:
            file.write_text('')
        assert (tmp_path / 'pipe').is_fifo()

    def test_a_folder_that_cannot_be_made_is_an_error(self, tmp_path):
        (tmp_path / 'file').touch()
        with pytest.raises(UsageError, match='show_dir: '), write_whole(tmp_path / 'file' / 'a.png', 'show_dir'):
            pass
