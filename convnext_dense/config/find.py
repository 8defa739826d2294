"""Finds the file of a config by its path or its name. Imports nothing heavy: a typing error is answered at once."""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

from convnext_dense.compat.configs.package_configs import SEPARATOR, configs_folder, package_config
from convnext_dense.errors import UsageError
from convnext_dense.regular_files import special_kind

# What an address has and a local path has not.
URL_MARK = '://'
# How the name of a file with weights ends.
WEIGHT_SUFFIXES = ('.pth', '.pt', '.safetensors')
CONFIGS = Path(__file__).resolve().parents[1] / '.mim' / 'configs'


def find_config(name: str) -> Path:
    """Return the file of a config.

    Args:
        name: A file; a name in a package, such as ``mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py``; or the name of
            one of this package's configs, such as ``mask-rcnn_convnext-t_fpn_amp-1x_coco``.

    Raises:
        UsageError: If there is no such config. The message lists the nearest names.

    Example:
        >>> find_config('mask-rcnn_convnext-t_fpn_amp-1x_coco').parent.name
        'mask_rcnn'
    """
    if Path(name).is_file():
        return Path(name)
    if URL_MARK in name:
        raise UsageError(
            f'config: {name} is an address, and a config is Python that runs when it is read; download it, read it, '
            'and give the file.'
        )
    if not name.strip():
        raise UsageError('config: its name is empty; give a file or a name.')
    if Path(name).is_dir():
        raise UsageError(f'config: {name} is a folder; give a file or a name.')
    if kind := special_kind(name):
        raise UsageError(f'config: {name} is {kind}; give a file or a name.')
    package, separator, path = name.partition(SEPARATOR)
    if separator:
        return _find_in_package(name, package, path)
    stem = Path(name).stem if name.endswith('.py') else Path(name).name
    configs = our_configs()
    is_path = name.endswith('.py') or '/' in name
    if stem in configs and not is_path:
        return configs[stem]
    if is_path:
        hint = f"; this package's config of that name is {stem}" if stem in configs else nearest_names(stem, configs)
        raise UsageError(f'config: there is no file {name}{hint}.')
    raise UsageError(f'config: there is no config {name}{nearest_names(stem, configs)}.')


def is_model(name: str) -> bool:
    """Return whether a text names a trained model with its config: a work directory, or a file of weights.

    Args:
        name: The text.

    Example:
        >>> is_model('epoch_3.pth'), is_model('upernet_convnext-demo_demo-ade20k')
        (True, False)
    """
    return name.endswith(WEIGHT_SUFFIXES) or os.path.isdir(os.path.expanduser(name))


def check_file(path: str, argument: str) -> None:
    """Raise UsageError if `path` is neither a file nor an address.

    Args:
        path: The path.
        argument: The argument that it was given as.

    Example:
        >>> check_file('https://example.com/weights.pth', 'resume')
    """
    # Unlike pathlib's, it leaves a user's name that nobody has as it is.
    place = Path(os.path.expanduser(path))
    if URL_MARK not in path and not place.is_file():
        kind = special_kind(place) or 'a folder' * place.is_dir()
        raise UsageError(
            f'{argument}: {path} is {kind}, and no file.' if kind else f'{argument}: there is no file {path}.'
        )


def our_configs() -> dict[str, Path]:
    """Return the files of this package's configs by their names.

    Example:
        >>> 'upernet_convnext-t_8xb2-amp-160k_ade20k-512x512' in our_configs()
        True
    """
    files = sorted(CONFIGS.glob('*/*.py'))
    return {file.stem: file for file in files if file.parent.name != '_base_'}


def _find_in_package(name: str, package: str, path: str) -> Path:
    folder = configs_folder(package)
    if folder is None:
        raise UsageError(f'config {name}: there is no package {package}.')
    file = package_config(name)
    if file is None:
        names = {str(config.relative_to(folder)): config for config in folder.glob('*/*.py')}
        raise UsageError(f'config: {package} has no config {path}{nearest_names(path, names)}.')
    return file


def nearest_names(name: str, names: Iterable[str]) -> str:
    """Return the names that begin with `name`, or else those spelled most like it, as the end of a message.

    Example:
        >>> nearest_names('resnet5o', ['resnet50', 'swin'])
        '; the nearest names are resnet50'
    """
    names = list(names)
    nearest = [other for other in names if name and other.startswith(name)] or difflib.get_close_matches(name, names)
    return f'; the nearest names are {", ".join(nearest[:5])}' if nearest else ''
