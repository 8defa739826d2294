"""Where a training writes its curves, besides its log."""

from collections.abc import Sequence
from importlib.util import find_spec

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from convnext_dense.config.tree import bare_type
from convnext_dense.errors import UsageError

# By the package: mmengine's backend of it.
LOGS = dict(wandb='WandbVisBackend', mlflow='MLflowVisBackend')
LOCAL, TENSORBOARD = 'LocalVisBackend', 'TensorboardVisBackend'


def set_logs(cfg: Config, names: Sequence[str] = ()) -> None:
    """Write the curves of a training for TensorBoard, and into other logs that are asked for.

    They are mmengine's backends of the visualizer. A config that has others than the local one keeps its own, and gets
    no TensorBoard. Scores are logged by step, as losses are, also of a run that counts epochs, so that a resumed run
    goes on with both where it was; a config that sets `log_metric_by_epoch` keeps that.

    Args:
        cfg: The config, which is changed.
        names: 'wandb' for Weights & Biases, 'mlflow' for MLflow.

    Raises:
        UsageError: If a name is none of these, or its package is not installed.

    Example:
        >>> cfg = Config(dict(visualizer=dict(type='DetLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])))
        >>> set_logs(cfg)
        >>> [backend.type for backend in cfg.visualizer.vis_backends]
        ['LocalVisBackend', 'TensorboardVisBackend']
    """
    for name in names:
        if name not in LOGS:
            raise UsageError(f'log: it must be {" or ".join(LOGS)}; got {name!r}.')
        if not is_installed(name):
            raise UsageError(f'log: {name} is not installed; pip install {name}.')
    visualizer = cfg.get('visualizer') or ConfigDict(type='Visualizer', vis_backends=[ConfigDict(type=LOCAL)])
    own = visualizer.get('vis_backends') or []
    backends = [ConfigDict(backend) for backend in ([own] if isinstance(own, dict) else own)]
    kinds = [bare_type(backend.get('type')) for backend in backends]
    added = []
    if kinds == [LOCAL] and not is_installed('tensorboard'):
        print_log('TensorBoard is not installed, so it gets no curves; pip install tensorboard.', logger='current')
    elif kinds == [LOCAL]:
        added.append(TENSORBOARD)
    added += [LOGS[name] for name in dict.fromkeys(names) if LOGS[name] not in kinds]
    visualizer.vis_backends = [*backends, *(ConfigDict(type=kind) for kind in added)]
    cfg.visualizer = visualizer
    hooks = cfg.get('default_hooks') or ConfigDict()
    logger = hooks.setdefault('logger', ConfigDict(type='LoggerHook'))
    if logger is not None:
        logger.setdefault('log_metric_by_epoch', False)
    cfg.default_hooks = hooks


def is_installed(package: str) -> bool:
    """Return whether a package can be imported. A folder of its name, such as the one that wandb writes into, is none.

    Args:
        package: The package.

    Example:
        >>> is_installed('mmengine'), is_installed('nothing_of_this_name')
        (True, False)
    """
    spec = find_spec(package)
    return spec is not None and spec.origin is not None
