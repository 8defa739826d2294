"""Reads YAML files."""

import reprlib
from collections.abc import Iterable
from pathlib import Path

import yaml

from convnext_dense.errors import SHOWN_CHARACTERS, UsageError, describe
from convnext_dense.regular_files import read_text


def read_yaml(path: Path) -> object:
    """Return the content of a YAML file.

    Raises:
        UsageError: If it cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), 'data.yaml')
        >>> _ = path.write_text('names: [cat, dog]')
        >>> read_yaml(path)
        {'names': ['cat', 'dog']}
    """
    try:
        return yaml.safe_load(read_text(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'data: {path} cannot be read: {error}.') from error
    except RecursionError as error:
        raise UsageError(f'data: {path} is no YAML: it nests too deep.') from error
    except Exception as error:
        # Constructors of tags, such as !!int and dates, raise anything.
        mark = getattr(error, 'problem_mark', None)
        where = f' in line {mark.line + 1}' if mark else ''
        problem = getattr(error, 'problem', None) or describe(error)
        raise UsageError(f'data: {path} is no YAML: {problem}{where}.') from error


def are_names(values: Iterable) -> bool:
    """Return whether values of a YAML file are names of classes. Words such as yes and no are none, without quotes.

    Example:
        >>> are_names(yaml.safe_load('[cat, 7]')), are_names(yaml.safe_load('[yes, no]'))
        (True, False)
    """
    return all(isinstance(value, str | int) and not isinstance(value, bool) for value in values)


def shown(value: object) -> str:
    """Return what a YAML file has at a place, shortened: a few aliases can be gigabytes.

    Example:
        >>> shown(['cat'] * 1000)
        "['cat', 'cat', 'cat', 'cat', 'cat', 'cat', ...]"
    """
    short = reprlib.Repr()
    short.maxlevel = 2
    short.maxstring = SHOWN_CHARACTERS
    return short.repr(value)
