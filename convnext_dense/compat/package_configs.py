"""Lets mmengine find the configs of other packages at once."""

from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config

SEPARATOR = '::'


def package_config(name: str) -> Path | None:
    """Return the file of a config that is named with its package, as in ``_base_``; None if there is none.

    Args:
        name: Such as ``mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py``.

    Example:
        >>> package_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py').name
        'mask-rcnn_r50_fpn_1x_coco.py'
    """
    package, separator, path = name.partition(SEPARATOR)
    spec = find_spec(package) if separator and package.isidentifier() else None
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / '.mim' / 'configs' / path
    return file if file.is_file() else None


def find_package_configs_directly() -> None:
    """Let a config's bases of other packages be looked for where they lie.

    mmengine first reloads pkg_resources and parses all of the package's metafiles for each base, a second or more, and
    then takes the same file: metafiles name configs with their suffix, which it has cut off.

    Example:
        >>> find_package_configs_directly()
    """
    original = Config._get_cfg_path
    if getattr(original, '__module__', None) == __name__:
        return

    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        file = package_config(cfg_path)
        return (str(file), cfg_path.partition(SEPARATOR)[0]) if file else original(cfg_path, filename)

    Config._get_cfg_path = staticmethod(get_cfg_path)
