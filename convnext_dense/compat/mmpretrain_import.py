"""Lets mmpretrain be imported beside a transformers newer than it."""

import importlib
import importlib.util
import sys
from pathlib import Path

# What mmpretrain's language models import from transformers.modeling_utils, which lacks it since.
MOVED = 'find_pruneable_heads_and_indices'


def allow_new_transformers() -> None:
    """Have mmpretrain leave out its multi-modal models where the installed transformers breaks their import.

    mmdet imports mmpretrain wherever it is installed, and then stops at "TypeError: NoneType takes no arguments".

    Example:
        >>> from convnext_dense.compat import allow_new_transformers
        >>> allow_new_transformers()
    """
    transformers = importlib.util.find_spec('transformers')
    if 'mmpretrain.models' in sys.modules or not transformers or not importlib.util.find_spec('mmpretrain'):
        return
    # Read, for its import takes seconds.
    modeling = Path(transformers.submodule_search_locations[0], 'modeling_utils.py')
    if MOVED not in modeling.read_text(encoding='utf-8'):
        importlib.import_module('mmpretrain.utils.dependency').WITH_MULTIMODAL = False
