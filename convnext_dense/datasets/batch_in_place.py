"""Makes a batch of images in place."""

from collections.abc import Sequence

import torch
from mmengine.model import ImgDataPreprocessor
from torch import Tensor

from convnext_dense.datasets.channels import COLORS, exchange_colors


class BatchInPlace(ImgDataPreprocessor):
    """mmengine's ImgDataPreprocessor, which writes images into their batch and normalizes them there.

    mmengine copies each image up to six times. The batch is the same bit for bit.

    Attributes:
        exchange: Whether to exchange the first and the third channel if there are at least three.

    Example:
        >>> preprocess = BatchInPlace(mean=[1.0], std=[2.0], pad_size_divisor=2)
        >>> preprocess(dict(inputs=[torch.tensor([[[1, 2, 3]]], dtype=torch.uint8)]))['inputs'].tolist()
        [[[[0.0, 0.5, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]]
    """

    exchange: bool = False

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return a batch as the model takes it."""
        data = self.cast_data(data)  # pyrefly: ignore[bad-assignment]
        images = data['inputs']
        if self._can_write(images):
            return dict(data, inputs=self._write(images), data_samples=data.get('data_samples'))
        if self.exchange:
            data = dict(data, inputs=[exchange_colors(image) for image in images])
        return super().forward(data, training)  # pyrefly: ignore[bad-return]

    def _can_write(self, images: Sequence[Tensor] | Tensor) -> bool:
        """Return whether all images have equally many channels, and there is a mean for each or for all of them."""
        return (
            not isinstance(images, Tensor)
            and all(image.ndim == 3 for image in images)
            and len({len(image) for image in images}) == 1
            and (not self._enable_normalize or len(self.mean) in (1, len(images[0])))
        )

    def _write(self, images: Sequence[Tensor]) -> Tensor:
        """Return the batch, (images, channels, height, width), float32."""
        channels, divisor = len(images[0]), self.pad_size_divisor
        height, width = (-(-max(image.shape[axis] for image in images) // divisor) * divisor for axis in (1, 2))
        exchange = (self.exchange or self._channel_conversion) and channels >= COLORS
        order = [2, 1, 0, *range(COLORS, channels)] if exchange else range(channels)
        batch = torch.empty(len(images), channels, height, width, dtype=torch.float32, device=images[0].device)
        for image, place in zip(images, batch, strict=True):
            rows, columns = image.shape[1:]
            place[:, rows:] = self.pad_value
            place[:, :rows, columns:] = self.pad_value
            # A channel stays in the processor's cache.
            for channel, source in enumerate(order):
                target = place[channel, :rows, :columns].copy_(image[source])
                if self._enable_normalize:
                    of_channel = channel % len(self.mean)
                    target.sub_(self.mean[of_channel]).div_(self.std[of_channel])
        return batch
