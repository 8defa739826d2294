"""Pastes the masks of Mask R-CNN within their boxes."""

import numpy as np
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmengine.config import ConfigDict
from torch import Tensor

from convnext_dense.evaluation.post_processing.late_masks import LateMasks
from convnext_dense.evaluation.post_processing.run_lengths import Columns
from convnext_dense.evaluation.post_processing.vector_sigmoid import LANES, sigmoid_of

mmdet_predict = FCNMaskHead._predict_by_feat_single
BILINEAR, ZEROS = 0, 0


def predict_late(
    self: FCNMaskHead,
    mask_preds: Tensor,
    bboxes: Tensor,
    labels: Tensor,
    img_meta: dict,
    rcnn_test_cfg: ConfigDict,
    rescale: bool = False,
    activate_map: bool = False,
) -> Tensor:
    """Return the masks of `FCNMaskHead._predict_by_feat_single` as `LateMasks`.

    Args:
        self: The mask head.
        mask_preds: Logits, (masks, classes, height, width).
        bboxes: Boxes, (masks, 4). They are rescaled in place if `rescale`.
        labels: Their classes, (masks,).
        img_meta: The image's scale and shape.
        rcnn_test_cfg: The threshold, `mask_thr_binary`.
        rescale: Whether the masks are those of the original image.
        activate_map: Whether `mask_preds` are probabilities.
    """
    threshold = rcnn_test_cfg['mask_thr_binary']
    if not _can_paste(bboxes, threshold):
        return mmdet_predict(self, mask_preds, bboxes, labels, img_meta, rcnn_test_cfg, rescale, activate_map)
    height, width = img_meta['ori_shape'][:2]
    scale = bboxes.new_tensor(img_meta['scale_factor']).repeat((1, 2))
    if rescale:
        bboxes /= scale
    else:
        height, width = (int(np.round(side * scale[0, i].item())) for side, i in ((height, 1), (width, 0)))
    # Fewer sigmoids, if those of the chosen classes have the same bits.
    is_late = not activate_map and mask_preds.numel() % LANES == 0
    chosen = mask_preds if activate_map or is_late else mask_preds.sigmoid()
    if not self.class_agnostic:
        chosen = chosen[range(len(chosen)), labels][:, None]
    probabilities = (sigmoid_of(chosen) if is_late else chosen).float()
    return LateMasks(paste(probabilities, bboxes, height, width, threshold), height, width)


def _can_paste(boxes: Tensor, threshold: float) -> bool:
    """Return whether masks can be pasted within their boxes: on a GPU, mmdet pastes them all at once."""
    return (
        boxes.device.type == 'cpu' and boxes.dtype == torch.float32 and threshold > 0 and bool(boxes.isfinite().all())
    )


def paste(masks: Tensor, boxes: Tensor, height: int, width: int, threshold: float) -> Columns:
    """Paste masks into an image, as mmdet does on a CPU, and keep what is near their boxes.

    Args:
        masks: Probabilities, (masks, 1, rows, columns), float32.
        boxes: Where they are in the image, (masks, 4).
        height: The image's height in pixels.
        width: Its width.
        threshold: The least probability of a mask's pixel.

    Example:
        >>> paste(torch.ones(1, 1, 28, 28), torch.tensor([[2.0, 1.0, 4.0, 2.0]]), 3, 5, 0.5).boxes.tolist()
        [[1, 0, 5, 3]]
    """
    limits = boxes.new_tensor([width, height])
    first, end = (boxes[:, :2].floor() - 1).clamp(min=0), torch.minimum(boxes[:, 2:].ceil() + 1, limits)
    borders = torch.cat([first, end], 1).long().numpy()
    columns = Columns.empty(borders)
    across, down = (_places(boxes[:, i::2], side) for i, side in enumerate((width, height)))
    pixels = columns.part
    for i, (left, top, right, bottom) in enumerate(borders.tolist()):
        if right <= left or bottom <= top:
            continue
        grid = torch.empty(1, right - left, bottom - top, 2)
        grid[0, ..., 0] = across[i, left:right, None]
        grid[0, ..., 1] = down[i, top:bottom]
        found = torch.grid_sampler(masks[i : i + 1], grid, BILINEAR, ZEROS, False)[0, 0]
        np.greater_equal(found.numpy(), np.float32(threshold), out=pixels(i))
    return columns


def _places(ranges: Tensor, side: int) -> Tensor:
    """Return where an image's columns or rows are in boxes, from -1 to 1, (boxes, side).

    Args:
        ranges: First and last coordinate of each box, (boxes, 2).
        side: The image's width or height in pixels.
    """
    first, last = ranges.split(1, 1)
    places = (torch.arange(side, dtype=torch.float32) + 0.5 - first) / (last - first) * 2 - 1
    return places.masked_fill_(places.isinf(), 0)
