"""Other people's pretrained weights: found, read, recognized, renamed, matched and reported.

A ConvNeXt loads any public checkpoint by its ``init_cfg``, by `load_pretrained`, or as part of a whole model::

    backbone = dict(
        type='convnext_dense.ConvNeXt',
        init_cfg=dict(type='Pretrained', checkpoint='convnext_tiny_in22k'))
"""

from convnext_dense.weights.export import convert_checkpoint
from convnext_dense.weights.inspection import inspect_checkpoint
from convnext_dense.weights.pretrained import Pretrained, load_pretrained
from convnext_dense.weights.storage.sources import load_from_anywhere, read_weights

__all__ = [
    'Pretrained',
    'convert_checkpoint',
    'inspect_checkpoint',
    'load_from_anywhere',
    'load_pretrained',
    'read_weights',
]
