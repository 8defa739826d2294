"""Makes mmseg's segmenters predict in less time and memory, with the same finite logits and label maps.

mmseg 1.2.2 resizes logits that have the image's size already, and pads those of each window to the size of the image.
Importing this module gives mmseg's segmenters its methods; those that have their own keep them.

Two keys of `test_cfg` save more, and change the result: `windows_per_batch`, in the last bits, because PyTorch sums a
larger batch in another order; `argmax_first`, at the edges of regions.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.models.segmentors.encoder_decoder import EncoderDecoder
from mmseg.models.utils import resize
from mmseg.structures import SegDataSample
from torch import Tensor

# What tests and benchmarks compare with.
mmseg_postprocess_result = BaseSegmentor.postprocess_result
mmseg_slide_inference = EncoderDecoder.slide_inference


def slide_inference(self: EncoderDecoder, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
    """Return the mean of what windows have at each pixel, with shape (N, classes, H, W).

    Args:
        self: The segmenter. Its `test_cfg` has the windows' `crop_size` and `stride`, in pixels, and may have
            `windows_per_batch`: how many of an image go through the network together. By default one does.
        inputs: Images of shape (N, C, H, W). A window is as large as them at most.
        batch_img_metas: What is known of them. The network gets it with the window's size as `img_shape`.

    Raises:
        ValueError: If the stride leaves pixels out, or `windows_per_batch` is no whole number of at least 1.
    """
    size, crop, together = inputs.shape[2:], self.test_cfg.crop_size, self.test_cfg.get('windows_per_batch', 1)
    if not isinstance(together, int) or together < 1:
        raise ValueError(f'test_cfg.windows_per_batch: it must be a whole number of at least 1; got {together!r}.')
    places = list(product(*map(_windows, size, crop, self.test_cfg.stride)))
    logits, counts = inputs.new_zeros(0), inputs.new_zeros(size)
    for i in range(0, len(places), together):
        batch = places[i : i + together]
        windows = torch.cat([inputs[:, :, row, column] for row, column in batch])
        metas = [{**meta, 'img_shape': windows.shape[2:]} for _ in batch for meta in batch_img_metas]
        parts = self.encode_decode(windows, metas)
        if not len(logits):
            logits = _zeros(inputs, self.out_channels, parts.is_contiguous())
        for (row, column), part in zip(batch, parts.split(len(inputs)), strict=True):
            logits[:, :, row, column] += part
            counts[row, column] += 1
        # Before the next windows need its memory.
        del windows, parts, part
    logits.div_(counts)
    # mmseg's are contiguous, and a resize rounds differently in another memory format.
    is_resized = any(tuple(meta.get('ori_shape', ())) != tuple(size) for meta in batch_img_metas)
    return logits.contiguous() if is_resized else logits


def postprocess_result(
    self: BaseSegmentor, seg_logits: Tensor, data_samples: Sequence[SegDataSample] | None = None
) -> Sequence[SegDataSample]:
    """Return samples with their logits, `seg_logits`, and their label maps, `pred_sem_seg`, at the images' own sizes.

    Args:
        self: The segmenter. With `argmax_first` in its `test_cfg`, labels are found at the size that the network saw,
            and only they are resized, to the nearest one. The logits stay at that size.
        seg_logits: What it gives each class at each pixel, with shape (N, classes, H, W).
        data_samples: What is known of the images; changed. Without it, the logits have the images' sizes.
    """
    samples = [SegDataSample() for _ in seg_logits] if data_samples is None else data_samples
    # mmseg's base class has no `test_cfg`.
    argmax_first = (getattr(self, 'test_cfg', None) or {}).get('argmax_first', False)
    for i, sample in enumerate(samples):
        logits, size = seg_logits[i : i + 1], None
        if data_samples is not None:
            logits, size = _undo_changes(logits, sample.metainfo), tuple(sample.metainfo['ori_shape'])
            if not argmax_first and logits.shape[2:] != size:
                align_corners = bool(self.align_corners)
                logits = resize(logits, size=size, mode='bilinear', align_corners=align_corners, warning=False)
        logits = logits[0]
        if len(logits) > 1:
            labels = find_labels(logits)
        else:
            logits = logits.sigmoid()
            labels = (logits > self.decode_head.threshold).to(logits)
        if argmax_first and size:
            labels = _resize_labels(labels, size)
        sample.set_data(dict(seg_logits=PixelData(data=logits), pred_sem_seg=PixelData(data=labels)))
    return samples


def find_labels(logits: Tensor) -> Tensor:
    """Return the first class of the highest logit at each pixel, with shape (1, H, W): `logits.argmax(0, True)`.

    Args:
        logits: With shape (classes, H, W).

    Example:
        >>> find_labels(torch.tensor([[[1.0, 0.0]], [[1.0, 2.0]]]))
        tensor([[[0, 1]]])
    """
    # PyTorch's own takes twice the time of its maximum, and three times NumPy's where a pixel's classes are neighbors.
    if logits.device.type == 'cpu' and logits.dtype == torch.float32 and logits.stride(0) == 1:
        return torch.from_numpy(np.argmax(logits.detach().numpy(), 0, keepdims=True))
    return logits.max(0, keepdim=True).indices


def _zeros(images: Tensor, channels: int, is_contiguous: bool) -> Tensor:
    """Return zeros for each pixel of images in a window's memory format: adding from another takes 10 times as long."""
    count, _, height, width = images.shape
    if is_contiguous:
        return images.new_zeros(count, channels, height, width)
    return images.new_zeros(count, height, width, channels).permute(0, 3, 1, 2)


def _windows(length: int, crop: int, stride: int) -> list[slice]:
    """Return the rows or columns of each window. The last one ends with the image."""
    count = max(length - crop + stride - 1, 0) // stride + 1
    ends = [min(i * stride + crop, length) for i in range(count)]
    # Only the last window may be nearer than the stride.
    if (count > 2 and stride > crop) or (count == 2 and length > 2 * crop):
        raise ValueError(f'test_cfg.stride: windows of {crop} pixels every {stride} leave gaps in images of {length}.')
    return [slice(max(end - crop, 0), end) for end in ends]


def _undo_changes(logits: Tensor, metainfo: dict) -> Tensor:
    """Return logits without what padding and a flip did to their image."""
    left, right, top, bottom = metainfo.get('img_padding_size', metainfo.get('padding_size', [0] * 4))
    height, width = logits.shape[2:]
    logits = logits[:, :, top : height - bottom, left : width - right]
    if metainfo.get('flip'):
        logits = logits.flip(dict(horizontal=3, vertical=2)[metainfo['flip_direction']])
    return logits


def _resize_labels(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a label map, of shape (1, H, W), of another size, with the label nearest to each pixel's center."""
    rows, columns = (
        ((torch.arange(wanted, device=labels.device) + 0.5) * (side / wanted)).long()
        for side, wanted in zip(labels.shape[1:], size, strict=True)
    )
    return labels[:, rows[:, None], columns]


BaseSegmentor.postprocess_result = postprocess_result
EncoderDecoder.slide_inference = slide_inference
