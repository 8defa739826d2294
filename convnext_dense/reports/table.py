"""Plain-text tables."""

from collections.abc import Sequence


def format_table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """Return a table: the first column to the left, the others to the right.

    Args:
        rows: The cells' texts.
        header: The columns' names.

    Example:
        >>> print(format_table([['ResNet-50', '25.6'], ['ViT-S', '22.1']], ['model', 'params (M)']))
        model      params (M)
        ResNet-50        25.6
        ViT-S            22.1
    """
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return '\n'.join('  '.join(_aligned(cell, i, widths[i]) for i, cell in enumerate(line)) for line in lines)


def _aligned(cell: str, column: int, width: int) -> str:
    return cell.rjust(width) if column else cell.ljust(width)
