"""Describes the machine and the packages, as a bug report needs them."""

import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from convnext_dense.compat.imports.mmcv_ext import EXT_FILE
from convnext_dense.toolchain import COMPILERS, has_compiler, python_header
from convnext_dense.version import __version__

PACKAGES = (
    'torch',
    'torchvision',
    'timm',
    'mmengine',
    'mmcv',
    'mmcv-lite',
    'mmdet',
    'mmsegmentation',
    'mmpretrain',
    'onedl-mmengine',
    'onedl-mmcv',
    'onedl-mmdetection',
    'onedl-mmsegmentation',
    'onedl-mmpretrain',
    'numpy',
    'triton',
    'faster-coco-eval',
)


def package_versions(*packages: str) -> dict[str, str]:
    """Return the versions of those packages that are installed.

    Args:
        packages: Their names. Defaults to those that matter here.

    Example:
        >>> list(package_versions('torch', 'no-such-package'))
        ['torch']
    """
    found = {}
    for package in packages or PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def describe_environment() -> dict[str, str]:
    """Return what a bug report needs: Python, packages, devices, mmcv's operators and compilers.

    Example:
        >>> describe_environment()['Python'] == platform.python_version()
        True
    """
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    names, _, variable = COMPILERS['cuda']
    cpp_names, _, cpp_variable = COMPILERS['cpu']
    return {
        'Python': platform.python_version(),
        'convnext_dense': f'{__version__}, {Path(__file__).resolve().parents[1]}',
        'Platform': platform.platform(),
        **package_versions(),
        'GPUs': ', '.join(gpus) or 'none',
        'CUDA of PyTorch': torch.version.cuda or 'none',
        'cuDNN': str(torch.backends.cudnn.version() or 'none'),
        'CPU threads': str(torch.get_num_threads()),
        'mmcv operators': operators_of_mmcv(),
        'C compiler': _yes_or_no(has_compiler(names, variable)),
        'C++ compiler': _yes_or_no(has_compiler(cpp_names, cpp_variable)),
        'Python headers': _yes_or_no(python_header().is_file()),
    }


def operators_of_mmcv() -> str:
    """Return whose operators mmcv has in this program: "this package's" or 'compiled'.

    Example:
        >>> operators_of_mmcv() in ("this package's", 'compiled')
        True
    """
    operators = find_spec('mmcv._ext')
    return "this package's" if operators and operators.origin == str(EXT_FILE) else 'compiled'


def _yes_or_no(value: bool) -> str:
    return 'yes' if value else 'no'
