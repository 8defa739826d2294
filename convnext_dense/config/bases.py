"""Finds out before a config is read whether its bases are there, and form no circle."""

from pathlib import Path

from mmengine.config import Config

from convnext_dense.compat.configs.package_configs import SEPARATOR, configs_folder
from convnext_dense.config.find import nearest_names
from convnext_dense.errors import UsageError, describe

# What mmengine replaces before it parses a file.
PLACEHOLDER = '{{'


def check_bases(file: Path, readers: tuple[Path, ...] = ()) -> None:
    """Raise UsageError if a config or a base of it cannot be parsed or is not there, or if the bases form a circle.

    mmengine would follow a circle until Python's stack is full, which takes half a minute.

    Args:
        file: The config.
        readers: The configs that it is a base of, the first one first.

    Example:
        >>> from convnext_dense.config.find import find_config
        >>> check_bases(find_config('mask-rcnn_convnext-t_fpn_amp-1x_coco'))
    """
    if file.resolve() in readers:
        circle = ' of '.join(str(reader) for reader in (*readers[readers.index(file.resolve()) :], file))
        raise UsageError(f'config {readers[0]}: its _base_ forms a circle: {circle}.')
    try:
        text = file.read_text(errors='replace')
    except OSError as error:
        raise UsageError(f'config {file}: it cannot be read: {error.strerror}.') from error
    try:
        bases = [] if Config._is_lazy_import(str(file)) else Config._get_base_files(str(file))
    except Exception as error:
        if PLACEHOLDER in text:
            return
        raise UsageError(f'config {file}{_line(error)}: {_reason(error)}') from error
    for base in bases:
        if not isinstance(base, str):
            raise UsageError(f'config {file}: _base_ must be a name or a list of names; got {base!r}.')
        if PLACEHOLDER not in base:
            check_bases(_find_base(base, file), (*readers, file.resolve()))


def base_files(file: Path) -> list[Path]:
    """Return the files that a config names as its ``_base_``. Those of mmengine's pure-Python style are imports: none.

    Args:
        file: A config that can be read.

    Example:
        >>> from convnext_dense.config.find import find_config
        >>> [base.name for base in base_files(find_config('upernet_convnext-demo_demo-ade20k'))][:1]
        ['upernet_convnext.py']
    """
    if Config._is_lazy_import(str(file)):
        return []
    return [_find_base(base, file) for base in Config._get_base_files(str(file)) if PLACEHOLDER not in base]


def _reason(error: BaseException) -> str:
    cause = error.__context__ or error
    # Its text has the name of mmengine's copy of the file.
    return f'SyntaxError: {cause.msg}' if isinstance(cause, SyntaxError) else describe(cause)


def _line(error: BaseException) -> str:
    for cause in (error, error.__context__):
        mark = getattr(cause, 'problem_mark', None)
        line = mark.line + 1 if mark else getattr(cause, 'lineno', None)
        if line:
            return f', line {line}'
    return ''


def _find_base(base: str, file: Path) -> Path:
    package, separator, path = base.partition(SEPARATOR)
    folder = configs_folder(package) if separator else file.parent
    where = f'config {file}, line {_line_of_base(file)}'
    if folder is None:
        raise UsageError(f'{where}: its _base_ {base} needs the package {package}, which is not installed.')
    found = folder / (path if separator else base)
    if separator and not found.is_file():
        # A package's config may be named without its suffix.
        found = found.with_name(f'{found.name}.py') if not found.suffix else found
    if not found.is_file():
        hint = nearest_names(found.name, [config.name for config in found.parent.glob('*.*')])
        raise UsageError(f'{where}: its _base_ {base} is not there{hint}.')
    return found


def _line_of_base(file: Path) -> int:
    lines = file.read_text(errors='replace').splitlines()
    return next((i for i, line in enumerate(lines, 1) if line.lstrip(' "').startswith('_base_')), 1)
