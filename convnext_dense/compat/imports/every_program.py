"""A file that Python reads at each start, by which every program of an environment finds mmcv's operators."""

import site
import sysconfig
from contextlib import suppress
from pathlib import Path

NAME = 'convnext_dense_compat.pth'
# Runs at each start of Python, so it imports nothing; and it names no path, so the environment may move.
AT_START = '''
import sys

class PrepareOpenMMLab:
    """Imports convnext_dense before mmcv, mmengine or mmpretrain is imported."""

    def find_spec(self, name, path=None, target=None):
        if name not in ("mmcv", "mmengine", "mmpretrain") or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        try:
            import convnext_dense
        except ImportError as error:
            print(f"{file}: {error}; `convnext-dense compat remove` or deleting it ends this.", file=sys.stderr)
        from importlib.util import find_spec
        return find_spec(name)

# In a virtual environment, Python reads the file twice.
if not any(type(finder).__name__ == "PrepareOpenMMLab" for finder in sys.meta_path):
    sys.meta_path.insert(0, PrepareOpenMMLab())
'''


def install() -> Path:
    """Write the file into this Python's site-packages, and return it.

    Every program of the environment then works as if it began with ``import convnext_dense``, which happens as soon as
    it imports mmcv, mmengine or mmpretrain. A compiled mmcv keeps its operators.

    Raises:
        OSError: If no site-packages can be written to.
    """
    *others, last = site_folders()
    for folder in others:
        with suppress(OSError):
            return _write(folder)
    return _write(last)


def remove() -> list[Path]:
    """Delete the file, and return what was deleted.

    Raises:
        OSError: If it cannot be deleted.
    """
    found = installed()
    for file in found:
        file.unlink()
    return found


def installed() -> list[Path]:
    """Return the files that `install` has written and that are still there.

    Example:
        >>> {file.name for file in installed()} <= {NAME}
        True
    """
    return [folder / NAME for folder in site_folders() if (folder / NAME).is_file()]


def site_folders() -> list[Path]:
    """Return the site-packages of this Python, and those of this user if they count."""
    folders = [sysconfig.get_path('purelib')]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return [Path(folder) for folder in folders]


def _write(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / NAME
    # Python runs a line that begins with `import`.
    file.write_text(f'import sys; exec({AT_START.strip()!r}, dict(file={NAME!r}))\n')
    return file
