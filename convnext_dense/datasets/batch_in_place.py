"""Makes a batch of images in place."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseDataPreprocessor, ImgDataPreprocessor
from torch import Tensor

from convnext_dense.datasets.channels import exchange_colors, exchanged


def normalize_by(preprocessor: BaseDataPreprocessor, mean: Sequence[float] | None, std: Sequence[float] | None) -> None:
    """Make a data preprocessor of mmdet's or mmseg's normalize any number of channels; OpenMMLab's take 1 or 3.

    Args:
        preprocessor: The preprocessor, which is changed if both values are given.
        mean: A value for each channel, or one for all.
        std: Likewise.

    Example:
        >>> preprocessor = ImgDataPreprocessor()
        >>> normalize_by(preprocessor, [1, 2, 3, 4], [1, 1, 1, 2])
        >>> preprocessor.mean.shape
        torch.Size([4, 1, 1])
    """
    if mean is None or std is None:
        return
    vars(preprocessor)['_enable_normalize'] = True
    for name, values in (('mean', mean), ('std', std)):
        preprocessor.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1), False)


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
        exchange = self.exchange or self._channel_conversion
        means, deviations = (self.mean, self.std) if self._enable_normalize else (None, None)
        batch = torch.empty(len(images), channels, height, width, dtype=torch.float32, device=images[0].device)
        for image, place in zip(images, batch, strict=True):
            write_image(image, place, exchange, means, deviations, self.pad_value)
        return batch


def write_image(
    image: Tensor,
    place: Tensor,
    exchange: bool = False,
    means: Tensor | None = None,
    deviations: Tensor | None = None,
    pad_value: float = 0.0,
) -> None:
    """Write an image into its place in a batch, normalized, and padded on the right and below.

    Args:
        image: The image, (channels, height, width).
        place: Its place, (channels, at least height, at least width), float32.
        exchange: Whether to exchange the first and the third channel if there are at least three.
        means: What is subtracted from each channel, or from all, (channels or 1, 1, 1).
        deviations: What each channel is divided by then, likewise; None like `means`.
        pad_value: What is beyond the image.

    Example:
        >>> place = torch.empty(1, 1, 3)
        >>> write_image(torch.tensor([[[3, 4]]]), place, means=torch.ones(1, 1, 1), deviations=torch.full((1, 1, 1), 2))
        >>> place.tolist()
        [[[1.0, 1.5, 0.0]]]
    """
    channels, rows, columns = image.shape
    place[:, rows:] = pad_value
    place[:, :rows, columns:] = pad_value
    order = exchanged(channels) if exchange else range(channels)
    # A channel stays in the processor's cache.
    for channel, source in enumerate(order):
        target = place[channel, :rows, :columns].copy_(image[source])
        if means is not None and deviations is not None:
            target.sub_(means[channel % len(means)]).div_(deviations[channel % len(means)])
