"""A model's parameters and multiply-adds as a table."""

from mmengine.config import Config

from convnext_dense.analysis import default_shape, measure_complexity
from convnext_dense.analysis.counters import BOX_ROIS, MASK_ROIS
from convnext_dense.reports.table import format_table


def complexity_table(cfg: Config, shape: tuple[int, int] | None = None) -> str:
    """Return the counts of `measure_complexity` as a table, followed by what was counted.

    Args:
        cfg: A config with a model.
        shape: Height and width of the image in pixels. Defaults to `default_shape`.

    Raises:
        UsageError: As `measure_complexity` does.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('upernet_convnext-demo_demo-ade20k')
        >>> print(complexity_table(cfg))
        part            params  FLOPs
        backbone         0.71M  0.05G
        decode_head      0.16M  0.05G
        auxiliary_head   0.04M  0.00G
        total            0.91M  0.11G
        <BLANKLINE>
        one image of 128 x 128 (height x width)
        multiply-adds of convolutions, linear layers and matrix products
    """
    height, width = shape or default_shape(cfg)
    complexity = measure_complexity(cfg, (height, width))
    parts = {**complexity.parts, 'total': (complexity.params, complexity.flops)}
    rows = [(name, f'{params / 1e6:.2f}M', f'{flops / 1e9:.2f}G') for name, (params, flops) in parts.items()]
    counted = 'multiply-adds of convolutions, linear layers and matrix products'
    if 'roi_head' in parts:
        counted += f'; {BOX_ROIS} RoIs through each box head, {MASK_ROIS} through each mask head'
    table = format_table(rows, header=['part', 'params', 'FLOPs'])
    return f'{table}\n\none image of {height} x {width} (height x width)\n{counted}'
