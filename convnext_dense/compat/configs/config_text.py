"""Lays a config's text out. mmengine has yapf do it six times a run, which takes longer than to build the model."""

import ast

from mmengine.config import config

WIDTH = 100
INDENT = '    '


def lay_out(text: str, **_unused: object) -> tuple[str, bool]:
    """Return a config's text with a line for each value that does not fit into one with its neighbors.

    It takes the place of yapf's ``FormatCode``, and has its form.

    Args:
        text: The text: assignments of literals, lists, tuples, dicts and calls such as ``dict(type='ResNet')``.

    Returns:
        The text, and True.

    Raises:
        SyntaxError: If the text is no Python.

    Example:
        >>> lay_out("model=dict(type = 'ResNet')")
        ("model = dict(type='ResNet')\\n", True)
    """
    lines = []
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign):
            start = ast.unparse(statement.targets[0]) + ' = '
            lines.append(start + _fit(statement.value, '', len(start)))
        else:
            lines.append(ast.unparse(statement))
    return '\n'.join(lines) + '\n', True


def lay_configs_out_fast() -> None:
    """Give mmengine's configs `lay_out`.

    Example:
        >>> lay_configs_out_fast()
        >>> from mmengine.config import Config
        >>> print(Config(dict(model=dict(type='ResNet', depth=50))).pretty_text)
        model = dict(depth=50, type='ResNet')
        <BLANKLINE>
    """
    config.FormatCode = lay_out  # pyrefly: ignore[bad-assignment]


def _fit(node: ast.expr, indent: str, taken: int) -> str:
    """Return a value in one line, or in a line for each of its parts where that is too long.

    Args:
        node: The value.
        indent: The indent of the line in which it begins.
        taken: The characters of that line in front of it.
    """
    flat = ast.unparse(node)
    parts = _parts(node)
    if taken + len(flat) < WIDTH or parts is None or not parts[1]:
        return flat
    opening, members, closing = parts
    inner = indent + INDENT
    lines = [f'{inner}{name}{_fit(value, inner, len(inner) + len(name))},' for name, value in members]
    return '\n'.join([opening, *lines, indent + closing])


def _parts(node: ast.expr) -> tuple[str, list[tuple[str, ast.expr]], str] | None:
    """Return how a value opens, its parts by what stands in front of each, and how it closes; None if it has none."""
    if isinstance(node, ast.List | ast.Tuple):
        brackets = '[]' if isinstance(node, ast.List) else '()'
        return brackets[0], [('', part) for part in node.elts], brackets[1]
    if isinstance(node, ast.Dict) and all(node.keys):
        return (
            '{',
            [(f'{ast.unparse(key)}: ', value) for key, value in zip(node.keys, node.values, strict=True) if key],
            '}',
        )
    if isinstance(node, ast.Call):
        members = [('', part) for part in node.args]
        members += [(f'{part.arg}=' if part.arg else '**', part.value) for part in node.keywords]
        return f'{ast.unparse(node.func)}(', members, ')'
    return None
