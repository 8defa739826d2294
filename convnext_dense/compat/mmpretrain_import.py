"""Lets mmpretrain be imported beside a transformers newer than it."""

import importlib.util
from pathlib import Path

from mmpretrain.utils import dependency

# What mmpretrain's language models import from transformers.modeling_utils, which lacks it since.
MOVED = 'find_pruneable_heads_and_indices'


def allow_new_transformers() -> None:
    """Leave mmpretrain's multi-modal models out where the installed transformers breaks their import.

    mmdet imports mmpretrain wherever it is installed, and then stops at "TypeError: NoneType takes no arguments".

    Example:
        >>> from convnext_dense.compat.mmpretrain_import import allow_new_transformers
        >>> allow_new_transformers()
    """
    transformers = importlib.util.find_spec('transformers')
    if not transformers:
        return
    # Read, for its import takes seconds.
    modeling = Path(transformers.submodule_search_locations[0], 'modeling_utils.py')
    if MOVED not in modeling.read_text(encoding='utf-8'):
        dependency.WITH_MULTIMODAL = False
