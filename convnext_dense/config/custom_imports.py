"""Makes a config import what it needs in tools that do not import it themselves, such as mmdet's."""

from mmengine.config import Config, ConfigDict

from convnext_dense.registry import SCOPE


def import_package(cfg: Config, package: str = SCOPE) -> None:
    """Add a package to the config's `custom_imports`, which a runner imports first.

    Args:
        cfg: The config, which is changed.
        package: The package or module. Defaults to this package.

    Example:
        >>> cfg = Config(dict(custom_imports=dict(imports='mmpretrain.models')))
        >>> import_package(cfg)
        >>> cfg.custom_imports.imports
        ['mmpretrain.models', 'convnext_dense']
    """
    imports = cfg.setdefault('custom_imports', ConfigDict(imports=[], allow_failed_imports=False))
    imports.imports = [*([imports.imports] if isinstance(imports.imports, str) else imports.imports)]
    if package not in imports.imports:
        imports.imports.append(package)
