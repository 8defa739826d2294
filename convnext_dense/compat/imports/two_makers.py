"""Says so when the official packages and OneDL's, which own the same files, are both installed."""

import warnings
from importlib.metadata import PackageNotFoundError, version

OFFICIAL = {
    'onedl-mmengine': ('mmengine', 'mmengine-lite'),
    'onedl-mmcv': ('mmcv', 'mmcv-lite'),
    'onedl-mmdetection': ('mmdet',),
    'onedl-mmsegmentation': ('mmsegmentation',),
}


def warn_of_two_makers() -> None:
    """Warn of each of OneDL's packages that is installed next to the official one.

    Example:
        >>> warn_of_two_makers()
    """
    for onedl, official in OFFICIAL.items():
        found = [name for name in official if _is_installed(name)] if _is_installed(onedl) else []
        if found:
            names = ' and '.join([*found, onedl])
            warnings.warn(
                f'{names} have overwritten files of each other: uninstall all of them, and install those of one maker.',
                stacklevel=2,
            )


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
