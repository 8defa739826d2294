"""Makes mmpretrain importable when the installed transformers is newer than it."""

import importlib.util
from pathlib import Path

from mmpretrain.utils import dependency

# mmpretrain's language models import this from transformers.modeling_utils, which has it no longer.
MOVED = 'find_pruneable_heads_and_indices'


def allow_new_transformers() -> None:
    """Leave out mmpretrain's multi-modal models if the installed transformers breaks their import.

    mmdet imports mmpretrain if it is installed, and would fail with "TypeError: NoneType takes no arguments".

    Example:
        >>> from convnext_dense.compat.imports.mmpretrain_import import allow_new_transformers
        >>> allow_new_transformers()
    """
    transformers = importlib.util.find_spec('transformers')
    if not transformers:
        return
    # Read the file, because importing it takes seconds.
    modeling = Path(transformers.submodule_search_locations[0], 'modeling_utils.py')
    if MOVED not in modeling.read_text(encoding='utf-8'):
        dependency.WITH_MULTIMODAL = False
