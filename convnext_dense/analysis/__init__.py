"""What a model is without training it: its parameters and multiply-adds."""

from typing import TYPE_CHECKING

from convnext_dense.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from convnext_dense.analysis.complexity import Complexity, measure_complexity
    from convnext_dense.analysis.image_shape import default_shape

__all__ = ['Complexity', 'default_shape', 'measure_complexity']

# Counting knows the models of mmdet and of mmseg, and a run takes one of the two.
__getattr__ = lazy_exports(
    __name__, dict(Complexity='complexity', measure_complexity='complexity', default_shape='image_shape')
)
