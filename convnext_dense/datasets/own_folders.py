"""Keeps the names of files in annotations from leading out of the dataset's folders."""

import os
from collections.abc import Iterable, Mapping, Sequence

from mmcv.transforms import BaseTransform

from convnext_dense.errors import UsageError

SHOWN_CHARACTERS = 100


def own_folders(data_root: str | None, prefixes: Mapping[str, str] | None) -> list[str]:
    """Return the folders that a dataset's files are in; none if its config names none, so that any is right.

    Args:
        data_root: The dataset's `data_root`.
        prefixes: Its `data_prefix`.

    Example:
        >>> own_folders('data/coco', dict(img='train2017/', seg='/maps'))
        ['data/coco', 'data/coco/train2017/', '/maps']
        >>> own_folders('', dict(img=''))
        []
    """
    values = list((prefixes or {}).values())
    if not data_root and not all(values):
        return []
    return [
        *([data_root] if data_root else []),
        *(os.path.join(data_root or '', prefix) for prefix in values if prefix),
    ]


def leading_out(paths: Iterable[str], folders: Sequence[str]) -> list[str]:
    """Return the paths that lead out of folders by their names. Links are followed: they are the user's own.

    Args:
        paths: The paths. What has a protocol, such as ``s3://``, is left out.
        folders: As `own_folders` returns them.

    Example:
        >>> leading_out(['data/a.jpg', 'data/../b.jpg', '/c.jpg', 's3://d.jpg'], ['data'])
        ['data/../b.jpg', '/c.jpg']
        >>> leading_out(['/c.jpg'], [])
        []
    """
    if not folders:
        return []
    beginnings = tuple(os.path.join(folder, '') for folder in folders)
    homes = tuple(os.path.join(os.path.abspath(folder), '') for folder in folders)
    return [
        path
        for path in paths
        # What begins in one of them and has no dots is in it, as are nearly all.
        if not (path.startswith(beginnings) and '..' not in path)
        and '://' not in path
        and not os.path.abspath(path).startswith(homes)
    ]


def leads_out_of(folders: Sequence[str]) -> str:
    """Return the end of a sentence on a name of a file that leads out of folders.

    Args:
        folders: As `own_folders` returns them.

    Example:
        >>> leads_out_of(['data'])
        'leads out of data; if that is right, leave out data_root and data_prefix, or skip_check files.'
    """
    return f'leads out of {folders[0]}; if that is right, leave out data_root and data_prefix, or skip_check files.'


class StayInFolders(BaseTransform):
    """Raises if a sample's files are outside of folders.

    Args:
        folders: The folders.

    Raises:
        UsageError: If one is.

    Example:
        >>> StayInFolders(['data'])(dict(img_path='data/../secret.png'))
        Traceback (most recent call last):
            ...
        convnext_dense.errors.UsageError: the file 'data/../secret.png' leads out of data; if that is right, leave out \
data_root and data_prefix, or skip_check files.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self.folders = list(folders)

    def transform(self, results: dict) -> dict:
        """Look at the sample's files, and return it."""
        paths = [value for key in ('img_path', 'seg_map_path') if isinstance(value := results.get(key), str)]
        for path in leading_out(paths, self.folders):
            raise UsageError(f'the file {path!r:.{SHOWN_CHARACTERS}} {leads_out_of(self.folders)}')
        return results
