"""Averages the weights of a training, which is what is validated and kept."""

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from convnext_dense.config.tree import bare_type

# The average reaches over this share of the steps so far. Where a recipe's rate falls for the last time after 11 of 12
# epochs, more than 98 % of the final average are weights from after that.
SHARE = 0.02
# And over 5000 steps at most: the momentum of mmengine, RTMDet and YOLOX.
LEAST_MOMENTUM = 0.0002


def set_ema(cfg: Config) -> None:
    """Keep an exponential moving average of the weights (EMA), and validate and save that.

    It is mmengine's EMAHook with a momentum of 50 / (50 + steps so far), 0.0002 at least: the average reaches over the
    last 2 % of the steps, whether the run has 500 or 50,000. A fixed momentum of 0.0002 would keep the first weights of
    a short run. BatchNorm's statistics are averaged with the weights. A config that has an EMAHook keeps its own.

    Args:
        cfg: The config, which is changed.

    Reference:
        Tan and Le, "EfficientNet", 2019, and Ge et al., "YOLOX", 2021, train with averages of weights.

    Example:
        >>> cfg = Config(dict(model={}))
        >>> set_ema(cfg)
        >>> cfg.custom_hooks[0].ema_type, cfg.custom_hooks[0].gamma
        ('MomentumAnnealingEMA', 50)
    """
    hooks = cfg.get('custom_hooks') or []
    if any(bare_type(hook.get('type')) == 'EMAHook' for hook in hooks):
        print_log('ema: the config averages its weights already, and keeps its own EMAHook.', logger='current')
        return
    hook = ConfigDict(
        type='EMAHook',
        ema_type='MomentumAnnealingEMA',
        momentum=LEAST_MOMENTUM,
        gamma=round(1 / SHARE),
        update_buffers=True,
    )
    cfg.custom_hooks = [*hooks, hook]
