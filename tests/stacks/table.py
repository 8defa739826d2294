"""The stacks: a Python, and what is installed into it."""

import configparser
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ONEDL_FILE = ROOT / 'tools' / 'onedl.txt'
# What the official packages and OneDL's install under the same import names, and what only the official ones need.
OPENMMLAB = ('mmengine', 'mmcv', 'mmdet', 'mmsegmentation', 'mmpretrain', 'setuptools')


@dataclass(frozen=True)
class Stack:
    """A Python, and what is installed into it.

    Args:
        name: What the docs call it.
        python: Its version, as uv takes it.
        pins: Requirements besides setup.cfg's.
        without: What is left out of setup.cfg's.
        is_onedl: Whether OneDL's packages stand in for the official ones.
        is_constrained: Whether constraints.txt holds.
        is_compiled: Whether OneDL's mmcv is built where it finds PyTorch, and then with its operators.
    """

    name: str
    python: str = '3.11'
    pins: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    is_onedl: bool = False
    is_constrained: bool = False
    is_compiled: bool = False

    @property
    def folder(self) -> str:
        """The name of its environment's folder."""
        return self.name.replace(' ', '_').replace(',', '')

    def requirements(self) -> list[str]:
        """Return what is installed, as requirement lines.

        Example:
            >>> 'mmdet>=3.3.0,<4.0' in Stack('torch 2.6', pins=('torch==2.6.*',)).requirements()
            True
        """
        lines = [*required('options', 'install_requires'), *required('options.extras_require', 'tests')]
        if self.is_onedl:
            lines = [line for line in lines if not line.startswith(OPENMMLAB)]
            lines += [*lines_of(ONEDL_FILE.read_text()), 'onedl-mmpretrain']
        return [*(line for line in lines if not line.startswith(self.without)), *self.pins]


def required(section: str, key: str) -> list[str]:
    """Return the requirement lines of a key of setup.cfg.

    Example:
        >>> 'torch>=2.6' in required('options', 'install_requires')
        True
    """
    parser = configparser.ConfigParser()
    parser.read(ROOT / 'setup.cfg')
    return lines_of(parser[section][key])


def lines_of(text: str) -> list[str]:
    r"""Return the lines of a text that are neither empty nor comments.

    Example:
        >>> lines_of('# why\ntorch\n')
        ['torch']
    """
    return [line for line in text.splitlines() if line and not line.startswith('#')]


TORCH_2_10 = ('torch==2.10.*', 'torchvision==0.25.*')
STACKS = (
    Stack('official', is_constrained=True),
    Stack('OneDL', is_onedl=True),
    # onedl-mmcv 2.3.6 is built as C++17, and the headers of PyTorch 2.15 need C++20.
    Stack('OneDL, compiled operators', pins=TORCH_2_10, is_onedl=True, is_compiled=True),
    Stack('torch 2.6', pins=('torch==2.6.*', 'torchvision==0.21.*')),
    Stack('torch 2.10', pins=TORCH_2_10),
    Stack('Python 3.10', '3.10', is_constrained=True),
    Stack('Python 3.12', '3.12', is_constrained=True),
    Stack('Python 3.13', '3.13', is_constrained=True),
    Stack('transformers 4', pins=('transformers<5',)),
    # trackers requires NumPy 2.
    Stack('numpy 1.26', pins=('numpy==1.26.*',), without=('trackers',)),
)
