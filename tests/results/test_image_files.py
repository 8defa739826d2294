"""`images_in`: the image files of a folder and of its folders."""

import os

import pytest

from convnext_dense.errors import UsageError
from convnext_dense.results.image_input import images_in


class TestImagesIn:
    def test_folders_that_are_links_count_once(self, tmp_path):
        for place in ('photos/a.jpg', 'photos/more/b.png', 'elsewhere/c.jpg'):
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).touch()
        links = {'more/loop': 'photos', 'up': '.', 'linked': 'elsewhere', 'twice': 'elsewhere'}
        for name, target in links.items():
            (tmp_path / 'photos' / name).symlink_to(tmp_path / target)
        files = [os.path.relpath(file, tmp_path / 'photos') for file in images_in(tmp_path / 'photos')]
        assert files == ['a.jpg', 'linked/c.jpg', 'more/b.png']

    def test_a_folder_that_cannot_be_read_is_no_empty_one(self, tmp_path, monkeypatch):
        (tmp_path / 'closed').mkdir()
        (tmp_path / 'a.jpg').touch()
        scan = os.scandir

        def refuse(path):
            if os.fspath(path).endswith('closed'):
                raise PermissionError(13, 'Permission denied', path)
            return scan(path)

        monkeypatch.setattr(os, 'scandir', refuse)
        with pytest.raises(UsageError, match=r'images: .*closed cannot be read: Permission denied'):
            images_in(tmp_path, 'images')
