"""Makes mmcv, mmengine, mmdet and mmpretrain work with today's PyTorch and NumPy: operators without a compiler, safe
checkpoint loading, NumPy's old names, and COCO files that leave out fields. mmseg's segmenters predict in less time.

``import convnext_dense.compat`` imports none of them. Each is patched as soon as it is imported.
"""

import warnings
from functools import partial
from importlib import import_module

from convnext_dense.compat.imports.mmcv_ext import provide_mmcv_ext
from convnext_dense.compat.imports.when_imported import when_imported

__all__ = ['prepare_imports', 'provide_mmcv_ext', 'when_imported']

# Metrics of videos, mmcv's text detection, and mmpretrain's retrieval were written for NumPy 1; and so was trackeval.
NUMPY_1_MODULES = (
    'mmdet.evaluation.functional.ytviseval',
    'mmcv.ops.pixel_group',
    'mmpretrain.evaluation.metrics.retrieval',
    'trackeval',
)


def prepare_imports() -> None:
    """Arrange for mmcv, mmengine, mmdet and mmpretrain to be patched when they are imported.

    Example:
        >>> from convnext_dense.compat import prepare_imports
        >>> prepare_imports()
    """
    provide_mmcv_ext()
    when_imported('mmengine', _warn_of_two_makers)
    when_imported('torch', _allow_mmengine_globals)
    when_imported('mmpretrain.utils.dependency', _allow_new_transformers)
    when_imported('mmengine.config', _find_package_configs_directly)
    when_imported('mmengine.config', _lay_configs_out_fast)
    when_imported('mmengine.runner.activation_checkpointing', _recompute_with_gradients)
    when_imported('mmengine.hooks.logger_hook', _let_one_process_write_scores)
    when_imported('mmengine.model', _widen_uint16)
    when_imported('mmdet.datasets.api_wrappers.coco_api', _fill_missing_fields)
    for name in NUMPY_1_MODULES:
        when_imported(name, partial(_restore_numpy_names, name))
    when_imported('mmcv.ops', _give_compiled_mmcv_contiguous_tensors)
    when_imported('mmcv.ops.sync_bn', _provide_sync_bn)
    when_imported('mmdet.models.utils.gaussian_target', _let_heatmaps_be_channels_last)
    when_imported('mmseg.models.decode_heads.dm_head', _let_dynamic_filters_be_channels_last)
    when_imported('mmseg.models.segmentors.encoder_decoder', _segment_fast)
    when_imported('mmseg.models.decode_heads.decode_head', _log_accuracy_without_waiting)
    when_imported('mmdet.models.dense_heads.ssd_head', _let_ssd_predict)
    when_imported('mmdet.models.roi_heads.mask_heads.fcn_mask_head', _let_masks_be_copied_quietly)


def _warn_of_two_makers() -> None:
    from convnext_dense.compat.imports.two_makers import warn_of_two_makers

    warn_of_two_makers()


def _allow_mmengine_globals() -> None:
    from convnext_dense.compat.checkpoint_loading import allow_mmengine_globals

    allow_mmengine_globals()


def _recompute_with_gradients() -> None:
    from mmengine.runner import activation_checkpointing
    from torch.utils.checkpoint import checkpoint

    # PyTorch's default gives no gradient to a module whose input has none: a backbone, whose input is an image.
    activation_checkpointing.checkpoint = partial(checkpoint, use_reentrant=False)


def _let_one_process_write_scores() -> None:
    from mmengine.dist import master_only
    from mmengine.hooks import logger_hook

    # At the end of a test, each process writes the same file of scores at once.
    logger_hook.dump = master_only(logger_hook.dump)  # pyrefly: ignore[implicit-import]


def _widen_uint16() -> None:
    from convnext_dense.compat.uint16_images import widen_uint16

    widen_uint16()


def _allow_new_transformers() -> None:
    from convnext_dense.compat.imports.mmpretrain_import import allow_new_transformers

    allow_new_transformers()


def _give_compiled_mmcv_contiguous_tensors() -> None:
    from convnext_dense.compat.memory_formats import give_compiled_mmcv_contiguous_tensors

    give_compiled_mmcv_contiguous_tensors()


def _provide_sync_bn() -> None:
    from convnext_dense.compat.sync_bn import provide_sync_bn

    provide_sync_bn()


def _let_heatmaps_be_channels_last() -> None:
    from convnext_dense.compat.memory_formats import let_heatmaps_be_channels_last

    let_heatmaps_be_channels_last()


def _let_dynamic_filters_be_channels_last() -> None:
    from convnext_dense.compat.memory_formats import let_dynamic_filters_be_channels_last

    let_dynamic_filters_be_channels_last()


def _segment_fast() -> None:
    import_module('convnext_dense.compat.segmenting')


def _log_accuracy_without_waiting() -> None:
    import_module('convnext_dense.compat.seg_accuracy')


def _let_ssd_predict() -> None:
    from mmdet.models.dense_heads.ssd_head import SSDHead

    # mmdet 3.3.0 looks for a module of this name in every head. SSD computes its loss without one.
    SSDHead.loss_cls = None  # pyrefly: ignore[no-access]


def _let_masks_be_copied_quietly() -> None:
    # Of a Cascade, mmdet copies the masks in a way that PyTorch warns of.
    warnings.filterwarnings('ignore', 'To copy construct from a tensor', module='mmdet.*fcn_mask_head')


def _find_package_configs_directly() -> None:
    from convnext_dense.compat.configs.package_configs import find_package_configs_directly

    find_package_configs_directly()


def _lay_configs_out_fast() -> None:
    from convnext_dense.compat.configs.config_text import lay_configs_out_fast

    lay_configs_out_fast()


def _fill_missing_fields() -> None:
    from convnext_dense.compat.coco_fields import fill_missing_fields, read_fast

    fill_missing_fields()
    read_fast()


def _restore_numpy_names(name: str) -> None:
    from convnext_dense.compat.numpy_names import restore_numpy_names

    restore_numpy_names(name)
