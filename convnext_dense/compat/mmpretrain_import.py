"""Lets mmpretrain be imported beside a transformers newer than it."""

import importlib
import importlib.util
import sys

# What mmpretrain's language models take from transformers, which has moved it since.
MOVED = ('apply_chunking_to_forward', 'find_pruneable_heads_and_indices', 'prune_linear_layer')


def allow_new_transformers() -> None:
    """Have mmpretrain leave out its multi-modal models where the installed transformers breaks their import.

    mmdet imports mmpretrain wherever it is installed, and then stops at "TypeError: NoneType takes no arguments".

    Example:
        >>> from convnext_dense.compat import allow_new_transformers
        >>> allow_new_transformers()
    """
    if 'mmpretrain.models' in sys.modules or not all(map(importlib.util.find_spec, ('mmpretrain', 'transformers'))):
        return
    dependency = importlib.import_module('mmpretrain.utils.dependency')
    modeling = importlib.import_module('transformers.modeling_utils')
    if not all(hasattr(modeling, name) for name in MOVED):
        dependency.WITH_MULTIMODAL = False
