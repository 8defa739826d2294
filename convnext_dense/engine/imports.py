"""Makes a config run in tools that do not import this package by themselves."""

from mmengine.config import Config, ConfigDict

from convnext_dense.registry import SCOPE


def import_package(cfg: Config) -> None:
    """Have whatever loads the config import this package, by its `custom_imports`.

    Example:
        >>> cfg = Config(dict(custom_imports=dict(imports='mmpretrain.models')))
        >>> import_package(cfg)
        >>> cfg.custom_imports.imports
        ['mmpretrain.models', 'convnext_dense']
    """
    imports = cfg.setdefault('custom_imports', ConfigDict(imports=[], allow_failed_imports=False))
    imports.imports = [*([imports.imports] if isinstance(imports.imports, str) else imports.imports)]
    if SCOPE not in imports.imports:
        imports.imports.append(SCOPE)
