"""What a model does to an image before its network."""

from torch import Tensor, nn
from torch.nn.functional import pad

from convnext_dense.datasets.channels import exchanges_colors


class Images(nn.Module):
    """Turns images as OpenCV reads them into what a network is fed, as mmengine's data preprocessors do.

    Args:
        preprocessor: mmdet's or mmseg's data preprocessor.
        divisor: What height and width are filled up to a multiple of, at the right and below.
        value: What with.
    """

    def __init__(self, preprocessor: nn.Module, divisor: int = 1, value: float = 0.0) -> None:
        super().__init__()
        self.divisor, self.value = divisor, value
        self.exchanges = exchanges_colors(preprocessor)
        enabled = getattr(preprocessor, '_enable_normalize', False)
        for name in ('mean', 'std'):
            self.register_buffer(name, getattr(preprocessor, name).detach().clone() if enabled else None)

    def forward(self, images: Tensor) -> Tensor:
        """Return what the network is fed, with shape (N, C, H', W').

        Args:
            images: With shape (N, H, W, C), and the channels in the order of the files' loader.
        """
        height, width = images.shape[1:3]
        images = images.permute(0, 3, 1, 2).float()
        if self.exchanges:
            images = images.flip(1)
        if self.mean is not None:
            images = (images - self.mean) / self.std
        if self.divisor > 1:
            images = pad(images, (0, -width % self.divisor, 0, -height % self.divisor), value=self.value)
        return images


def fill_value(model: nn.Module) -> list[int]:
    """Return the color that is nearest to none after it was normalized, in the order of the file's channels.

    Args:
        model: The detector or segmenter.
    """
    preprocessor = model.data_preprocessor
    mean = getattr(preprocessor, 'mean', None)
    if mean is None:
        return [0, 0, 0]
    values = [round(value) for value in mean.flatten().tolist()]
    return values[::-1] if exchanges_colors(preprocessor) else values
