"""Reads YAML files."""

from pathlib import Path

import yaml

from convnext_dense.errors import UsageError


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
        return yaml.safe_load(path.read_text(encoding='utf-8-sig'))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'data: {path} cannot be read: {error}.') from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, 'problem_mark', None)
        where = f' in line {mark.line + 1}' if mark else ''
        raise UsageError(
            f'data: {path} is no YAML: {getattr(error, "problem", None) or "it nests too deep"}{where}.'
        ) from error
