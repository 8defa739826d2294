"""Saves by PyTorch, with the system's own error where that cannot be."""

from pathlib import Path

import torch


def save_torch(content: dict, path: Path) -> None:
    """Save by ``torch.save``, whose own error for a disk that is full names neither the disk nor the file.

    Args:
        content: The checkpoint.
        path: The file.

    Raises:
        OSError: If it cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_torch({'bias': torch.ones(2)}, Path(folder, 'a.pth'))
        ...     torch.load(Path(folder, 'a.pth'))
        {'bias': tensor([1., 1.])}
    """
    try:
        with path.open('wb') as file:
            torch.save(content, file)
    except RuntimeError as error:
        if isinstance(reason := error.__context__, OSError):
            raise OSError(reason.errno, reason.strerror) from error
        raise
