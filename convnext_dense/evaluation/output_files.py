"""The files that a test writes: whole or not at all, and no two of them by one name."""

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from convnext_dense.errors import UsageError
from convnext_dense.regular_files import refuse_special


def image_paths(dataset: Any) -> list[str]:  # noqa: ANN401 - PyTorch's type has no length
    """Return the path of each image of a dataset, a wrapped one included; [] if it does not tell them.

    Args:
        dataset: A dataset as mmengine builds it.

    Example:
        >>> image_paths([])
        []
    """
    if not hasattr(dataset, 'get_data_info'):
        return []
    infos = (dataset.get_data_info(i) for i in range(len(dataset)))
    return [info['img_path'] for info in infos if 'img_path' in info]


class OutputNames:
    """Names files after images: images of one name in two folders keep their folders.

    Args:
        paths: The images.
        suffix: The files' suffix; by default the images' own. Where two names differ in their suffix alone, it is
            added to the whole name.

    Example:
        >>> names = OutputNames(['data/a/1.jpg', 'data/b/1.jpg'], '.png')
        >>> names['data/b/1.jpg'].as_posix()
        'b/1.png'
    """

    def __init__(self, paths: Iterable[str], suffix: str | None = None) -> None:
        absolute = {os.path.abspath(path) for path in paths}
        self.suffix = suffix
        self.base = os.path.commonpath([os.path.dirname(path) for path in absolute]) if absolute else ''
        self.keeps_suffix = len({os.path.splitext(path)[0] for path in absolute}) < len(absolute)

    def __getitem__(self, path: str) -> Path:
        absolute = os.path.abspath(path)
        inside = self.base and os.path.commonpath([self.base, absolute]) == self.base
        name = Path(os.path.relpath(absolute, self.base if inside else os.path.abspath(os.sep)))
        if self.suffix is None:
            return name
        return name.with_name(name.name + self.suffix) if self.keeps_suffix else name.with_suffix(self.suffix)


@contextmanager
def write_whole(path: Path, argument: str) -> Generator[Path]:
    """Yield a file to write. It gets its name when the block ends, and is removed if the block fails.

    Args:
        path: The file's final name. Its folder is made.
        argument: The argument that the place was given as.

    Raises:
        UsageError: If the file cannot be written, such as on a full disk, or the name is that of a device or a pipe.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, write_whole(Path(folder, 'a', 'b.txt'), 'out') as file:
        ...     file.write_text('whole')
        5
    """
    # With the same suffix, by which OpenCV chooses the format. Other processes may write the same file.
    partial = path.with_name(f'.{path.stem}.{os.getpid()}{path.suffix}')
    try:
        # A file would take the place of the device for all of the machine.
        refuse_special(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        raise UsageError(f'{argument}: {path} cannot be written: {error.strerror or error}.') from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
