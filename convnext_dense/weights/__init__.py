"""Other people's weights: found, read, recognized, renamed and reported, whenever a ConvNeXt loads them."""

from convnext_dense.weights.pretrained import Pretrained, load_pretrained
from convnext_dense.weights.sources import load_from_anywhere, read_weights

__all__ = ['Pretrained', 'load_from_anywhere', 'load_pretrained', 'read_weights']
