"""Layer-wise learning-rate decay for any backbone."""

from convnext_dense.optim.layer_decay import LayerDecayOptimWrapperConstructor, backbone_layer_ids

__all__ = ['LayerDecayOptimWrapperConstructor', 'backbone_layer_ids']
