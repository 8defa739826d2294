"""Gives a model's heads the faster methods."""

from collections.abc import Callable
from functools import wraps
from types import MethodType
from typing import Any

from mmdet.models.dense_heads import RPNHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from torch import nn

from convnext_dense.evaluation.post_processing.dense_head import mmdet_predict_dense, predict_dense
from convnext_dense.evaluation.post_processing.pasting import mmdet_predict, predict_late
from convnext_dense.evaluation.post_processing.two_stage import classify, mmdet_classify, mmdet_propose, propose

# Of each kind of head: methods that must be mmdet's own, what replaces the first, and what that is.
FASTER = (
    (RPNHead, {'predict_by_feat': mmdet_propose, '_predict_by_feat_single': RPNHead._predict_by_feat_single,
               '_bbox_post_process': RPNHead._bbox_post_process}, propose),
    (BaseDenseHead, {'_predict_by_feat_single': mmdet_predict_dense}, predict_dense),
    (BBoxHead, {'_predict_by_feat_single': mmdet_classify}, classify),
    (FCNMaskHead, {'_predict_by_feat_single': mmdet_predict}, predict_late),
)  # fmt: skip


def speed_up_heads(model: nn.Module) -> None:
    """Speed up the predictions of a model's heads, with the same values, where they make them in mmdet's way.

    In training, where a loss may be computed in bfloat16, proposals stay mmdet's.

    Args:
        model: The model, whose modules are changed. Their classes stay.

    Example:
        >>> head = FCNMaskHead()
        >>> speed_up_heads(head)
        >>> head._predict_by_feat_single.__name__
        'predict_late'
    """
    for module in model.modules():
        for kind, methods, faster in FASTER:
            if isinstance(module, kind) and all(
                getattr(type(module), name) is method for name, method in methods.items()
            ):
                name, own = next(iter(methods.items()))
                setattr(module, name, MethodType(_in_evaluation(faster, own), module))


def _in_evaluation(faster: Callable, own: Callable) -> Callable:
    """Return a method that is the faster one, and mmdet's own while the module trains."""

    @wraps(faster)
    def method(self: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the method's
        return (own if self.training else faster)(self, *args, **kwargs)

    return method
