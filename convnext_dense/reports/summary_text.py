"""What a config's model is: stages, costs, memory, and learning rates."""

from mmengine.config import Config

from convnext_dense.analysis.image_shape import default_shape
from convnext_dense.analysis.memory import measure_training_memory
from convnext_dense.analysis.rates import RateGroup, rate_groups
from convnext_dense.analysis.stages import backbone_parts
from convnext_dense.analysis.training_shape import training_shape
from convnext_dense.reports.complexity import complexity_table
from convnext_dense.reports.table import format_table
from convnext_dense.wording import counted

BAR = 30


def summary_text(cfg: Config, shape: tuple[int, int] | None = None) -> str:
    """Return a summary of a config: the backbone's parts, the model's costs, training memory, and learning rates.

    Args:
        cfg: As `load_config` returns it.
        shape: Height and width of the image in pixels. Defaults to `default_shape`, and of a training's memory to
            `training_shape`.

    Raises:
        UsageError: If the model cannot be built.

    Example:
        >>> from convnext_dense.config import load_config
        >>> text = summary_text(load_config('upernet_convnext-demo_demo-ade20k'))
        >>> [line for line in text.splitlines() if line and line == line.upper()]
        ['BACKBONE', 'MODEL', 'MEMORY OF A TRAINING', 'LEARNING RATES']
    """
    height, width = shape or default_shape(cfg)
    sections = [
        ('backbone', _stages(cfg, (height, width))),
        ('model', complexity_table(cfg, (height, width))),
        ('memory of a training', _memory(cfg, shape)),
        ('learning rates', _rates(rate_groups(cfg))),
    ]
    return '\n\n'.join(f'{title.upper()}\n{text}' for title, text in sections)


def _stages(cfg: Config, shape: tuple[int, int]) -> str:
    rows = [
        (
            part.name,
            ' x '.join(map(str, part.shape)) if part.shape else '-',
            f'{part.params:,}',
            f'{part.flops / 1e9:.2f}G',
        )
        for part in backbone_parts(cfg, shape)
    ]
    return format_table(rows, header=['part', 'gives (channels x height x width)', 'params', 'FLOPs'])


def _memory(cfg: Config, shape: tuple[int, int] | None) -> str:
    trained = shape or training_shape(cfg)
    memory = measure_training_memory(cfg, trained)
    batch_size = (cfg.get('train_dataloader') or {}).get('batch_size') or 1
    rows = [
        ('weights and gradients', _gib(memory.weights)),
        ('state of the optimizer', _gib(memory.optimizer)),
        (f'activations of an image of {trained[0]} x {trained[1]}', _gib(memory.activations)),
        (f'with {counted(batch_size, "image")} a step', _gib(memory.total(batch_size))),
    ]
    return f'{format_table(rows, header=["part", "at least"])}\n\nin float32, counted; kernels take memory on top'


def _rates(groups: list[RateGroup]) -> str:
    highest = max((group.rate for group in groups), default=0.0) or 1.0
    rows = [
        (
            group.name,
            f'{group.rate:.3g}',
            f'{group.weight_decay:.3g}',
            f'{group.params:,}',
            ('█' * max(round(BAR * group.rate / highest), int(group.rate > 0))).ljust(BAR),
        )
        for group in groups
    ]
    return format_table(rows, header=['group', 'rate', 'weight decay', 'params', ''])


def _gib(count: int) -> str:
    return f'{count / 2**30:.2f} GiB'
