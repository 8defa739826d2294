"""Layer-wise learning-rate decay for any backbone."""

from convnext_dense.optim.layer_decay import LayerDecayOptimWrapperConstructor

__all__ = ['LayerDecayOptimWrapperConstructor']
