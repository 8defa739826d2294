"""A segmenter's data preprocessor for images of any number of channels, and for label maps of one byte a pixel."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from mmseg.models import SegDataPreProcessor as MMSegDataPreProcessor
from mmseg.structures import SegDataSample
from torch import Tensor

from convnext_dense.datasets.batch_in_place import normalize_by, write_image
from convnext_dense.datasets.channels import exchange_colors
from convnext_dense.registry import MODELS

# What mmseg pads besides label maps.
OTHER_TARGETS = ('gt_edge_map', 'gt_depth_map')


@MODELS.register_module()
class SegDataPreProcessor(MMSegDataPreProcessor):
    """mmseg's SegDataPreProcessor, which exchanges channels where there are three, for more channels as well.

    Label maps become int64 on the model's device, so that they may be sent there as uint8. A training batch of uint8
    images is made in place, with mmseg's values.

    Args:
        mean: A value for each channel, or one for all; None to leave images as they are.
        std: Likewise.
        bgr_to_rgb: Whether to exchange the first and the third channel. Others stay where they are.
        rgb_to_bgr: The same.
        arguments: mmseg's.

    Raises:
        ValueError: If one of mean and std is given without the other.

    Example:
        >>> preprocessor = SegDataPreProcessor(mean=[0.0], std=[2.0], size=(2, 2))
        >>> batch = dict(inputs=[torch.ones(1, 1, 2, dtype=torch.uint8)], data_samples=[SegDataSample()])
        >>> preprocessor(batch, training=True)['inputs'].tolist()
        [[[[0.5, 0.5], [0.0, 0.0]]]]
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        **arguments: object,
    ) -> None:
        super().__init__(**cast(dict, arguments))
        self.exchange = bgr_to_rgb or rgb_to_bgr
        if (mean is None) != (std is None):
            raise ValueError('mean and std must both be given, or neither.')
        # OneDL's mmseg takes means of 1 or 3 channels.
        normalize_by(self, mean, std)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return a batch as the model takes it."""
        data = cast(dict, self.cast_data(data))
        images, samples = data['inputs'], data.get('data_samples') or []
        size = self._common_size(images) if training and self._is_plain(images, samples) else None
        if size is None:
            for sample in samples:
                if 'gt_sem_seg' in sample:
                    sample.gt_sem_seg.data = sample.gt_sem_seg.data.long()
            if self.exchange:
                data = dict(data, inputs=[exchange_colors(image) for image in images])
            return super().forward(data, training)
        batch = torch.empty(len(images), len(images[0]), *size, device=images[0].device)
        means, deviations = (self.mean, self.std) if self._enable_normalize else (None, None)
        for image, sample, place in zip(images, samples, batch, strict=True):
            write_image(image, place, self.exchange, means, deviations, cast(float, self.pad_val))
            self._pad_targets(sample, image.shape[1:], size)
        return dict(inputs=batch, data_samples=samples)

    def _is_plain(self, images: Sequence[Tensor], samples: Sequence[SegDataSample]) -> bool:
        """Return whether a batch has nothing but images of uint8, of equally many channels, and label maps."""
        channels = {len(image) for image in images}
        return (
            len(images) == len(samples)
            and not self.batch_augments
            and all(image.dtype == torch.uint8 and image.ndim == 3 for image in images)
            and len(channels) == 1
            and (not self._enable_normalize or len(self.mean) in (1, *channels))
            and not any(name in sample for sample in samples for name in OTHER_TARGETS)
        )

    def _common_size(self, images: Sequence[Tensor]) -> tuple[int, int] | None:
        """Return to which height and width all images are padded; None if there is none, of which mmseg says why."""
        size: Any = self.size
        divisor: Any = self.size_divisor
        if (size is None) == (divisor is None):
            return None
        if size is None:
            height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
            return -(-height // divisor) * divisor, -(-width // divisor) * divisor
        sizes = {(max(size[-2], image.shape[1]), max(size[-1], image.shape[2])) for image in images}
        return sizes.pop() if len(sizes) == 1 else None

    def _pad_targets(self, sample: SegDataSample, image_size: torch.Size, size: tuple[int, int]) -> None:
        pad_shape = None
        if 'gt_sem_seg' in sample:
            label_map = sample.gt_sem_seg.data
            # mmengine's data samples keep the shape of what they have.
            del sample.gt_sem_seg.data
            place = torch.empty(1, *size, dtype=torch.long, device=label_map.device)
            write_image(label_map, place, pad_value=cast(float, self.seg_pad_val))
            sample.gt_sem_seg.data = place
            pad_shape = sample.gt_sem_seg.shape
        padding = (0, size[1] - image_size[1], 0, size[0] - image_size[0])
        sample.set_metainfo(dict(img_shape=image_size, pad_shape=pad_shape, padding_size=padding))
