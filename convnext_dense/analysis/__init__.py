"""What a model is without training it: its parameters and multiply-adds."""

from convnext_dense.analysis.complexity import Complexity, measure_complexity
from convnext_dense.analysis.image_shape import default_shape

__all__ = ['Complexity', 'default_shape', 'measure_complexity']
