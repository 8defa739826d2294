"""Looks through folders, and reads in names which split they are."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from convnext_dense.errors import UsageError
from convnext_dense.regular_files import read_text

SPLITS = {
    'train': ('train', 'training', 'trainval', 'tr'),
    'val': ('val', 'valid', 'validation', 'dev', 'eval'),
    'test': ('test', 'testing'),
}
# What tools call the file of a dataset.
USUAL_NAMES = ('data', 'dataset', 'result', 'annotations', '_annotations.coco', 'instances_default')
# What OpenCV reads.
IMAGE_ENDINGS = (
    *('.jpg', '.jpeg', '.jpe', '.jp2', '.png', '.webp', '.bmp', '.dib', '.tif', '.tiff', '.pbm', '.pgm', '.ppm'),
    *('.pnm', '.pxm', '.ras', '.sr', '.exr', '.hdr', '.avif', '.gif'),
)

# What the names of folders say.
IMAGE_WORDS = ('image', 'img', 'photo', 'picture')
MAP_WORDS = ('ann', 'mask', 'label', 'gt', 'seg')
# Where other formats are converted to.
CONVERTED = 'converted_data'
# Left by macOS's archives, by file systems, and by runs.
OTHER_FOLDERS = ('__MACOSX', 'lost+found', 'work_dirs', CONVERTED)
# How deep a folder is looked into. A mistyped place may be a whole disk.
DEPTH = 3
MOST_FOLDERS = 5000


def folders(root: Path, work_dir: str | None = None) -> Iterator[Path]:
    """Yield a folder and those in it, in the order of their names, without hidden ones.

    Args:
        root: The folder.
        work_dir: A folder to leave out, which may hold the parts of a split.

    Raises:
        UsageError: If there are too many, or one cannot be read.

    Example:
        >>> next(folders(Path('.')))
        PosixPath('.')
    """
    for count, (name, subfolders, _) in enumerate(os.walk(root, onerror=_raise, followlinks=True)):
        if count == MOST_FOLDERS:
            raise UsageError(f'data: {root} holds more than {MOST_FOLDERS} folders; name one of those in it.')
        folder = Path(name)
        is_deepest = len(folder.relative_to(root).parts) >= DEPTH
        subfolders[:] = [] if is_deepest else sorted(part for part in subfolders if _is_data(folder / part, work_dir))
        yield folder


def _raise(error: OSError) -> None:
    raise UsageError(f'data: {error.filename} cannot be read: {error.strerror}.') from error


def _is_data(folder: Path, work_dir: str | None) -> bool:
    if folder.name.startswith('.') or folder.name in OTHER_FOLDERS:
        return False
    if work_dir is not None and folder.resolve() == Path(work_dir).resolve():
        return False
    # A link to a folder that it is in has no end.
    return not folder.is_symlink() or not folder.parent.resolve().is_relative_to(folder.resolve())


def split_name(path: Path, root: Path) -> str:
    """Return the split that a path's last part says, or else the one before; '' if none does.

    Args:
        path: A file or folder in `root`.
        root: Where the names begin to count.

    Example:
        >>> split_name(Path('data/annotations/instances_val2017.json'), Path('data'))
        'val'
    """
    for part in reversed(path.relative_to(root).parts):
        words = set(_words(part))
        # COCO's test-dev.
        if 'test' in words:
            words.discard('dev')
        for name, synonyms in SPLITS.items():
            if words & set(synonyms):
                return name
    return ''


def has_word(folder: Path, root: Path, beginnings: Sequence[str]) -> bool:
    """Return whether a word in a folder's path begins in one of several ways.

    Example:
        >>> has_word(Path('data/train_masks'), Path('data'), ['mask'])
        True
    """
    return any(word.startswith(tuple(beginnings)) for word in _words(str(folder.relative_to(root))))


def _words(text: str) -> list[str]:
    return [word.lower() for word in re.findall('[A-Z]?[a-z]+|[A-Z]+', text)]


def data_name(place: str) -> str:
    """Return what a dataset is called by: its folder, or its file unless all datasets of a format call it so.

    Args:
        place: A folder or a file.

    Example:
        >>> data_name('cells/data.yaml'), data_name('cells/2024.json')
        ('cells', '2024')
    """
    path = Path(place).resolve()
    # What follows a dot in a folder's name may be a version.
    if path.is_dir():
        return path.name
    return path.parent.name if path.stem in USUAL_NAMES else path.stem


def is_image(path: Path) -> bool:
    """Return whether a file's name is that of an image.

    Example:
        >>> is_image(Path('a/b.JPG')), is_image(Path('a/._b.jpg'))
        (True, False)
    """
    return path.suffix.lower() in IMAGE_ENDINGS and not path.name.startswith('.')


def walk_images(folder: Path, work_dir: str | None = None) -> list[Path]:
    """Return the images in a folder and in those in it, in the order of their names.

    Args:
        folder: The folder.
        work_dir: A folder to leave out.

    Example:
        >>> walk_images(Path('convnext_dense/config'))
        []
    """
    return sorted(place / name for place in folders(folder, work_dir) for name in image_names(place))


def image_names(folder: Path) -> list[str]:
    """Return the names of the images in a folder.

    Raises:
        UsageError: If it cannot be read.

    Example:
        >>> image_names(Path('convnext_dense'))
        []
    """
    try:
        return sorted(name for name in os.listdir(folder) if is_image(Path(name)))
    except OSError as error:
        raise UsageError(f'data: {folder} cannot be read: {error.strerror}.') from error


def without_flag(line: str) -> str:
    """Return a line of a list without the number that VOC's lists may have after the name.

    Example:
        >>> without_flag('2007_000027  -1')
        '2007_000027'
    """
    return re.sub(r'\s+-?[01]$', '', line)


def images_of_list(file: Path, root: Path) -> list[Path]:
    """Return the images whose paths are the lines of a file; none if its lines are other things.

    Args:
        file: The file. Its paths are relative to its own folder, or to `root`.
        root: The dataset's folder.

    Raises:
        UsageError: If it cannot be read.
    """
    try:
        lines = read_text(file).split('\n')
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'data: {file} cannot be read: {error}.') from error
    paths = [Path(line.strip()) for line in lines if line.strip()]
    if not all(map(is_image, paths)):
        return []
    # CVAT's lists begin with the folder that darknet is to find them in.
    tried = ((file.parent / path, root / path, root / Path(*path.parts[1:])) for path in paths)
    return [next((place for place in places if place.is_file()), places[1]) for places in tried]


def may_lead_out(name: str) -> bool:
    """Return whether a file's name may lead out of the folder that it is relative to.

    Example:
        >>> may_lead_out('../a.jpg'), may_lead_out('b/a.jpg')
        (True, False)
    """
    return name.startswith('/') or '..' in name


def check_places(names: Sequence[str], annotations: Path, folder: str, place: Path) -> None:
    """Check whether images are in the dataset.

    Args:
        names: Their names.
        annotations: The file that has the names.
        folder: The folder that they are relative to.
        place: The dataset's folder, or a file of it.

    Raises:
        UsageError: If a name leads out of it.
    """
    home = place if place.is_dir() else place.parent.parent
    homes = [os.path.abspath(path) for path in (folder, home)]
    for name in names:
        if not may_lead_out(name):
            continue
        path = os.path.abspath(os.path.join(folder, name))
        if not any(os.path.commonpath([path, home]) == home for home in homes):
            raise UsageError(f'data: {annotations}: the file_name {name[:100]} leads out of {place}.')
