"""Makes a random view of an image: a crop, mirrored or not, in other colors."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import BaseDataElement
from torchvision.transforms import v2

from convnext_dense.registry import TRANSFORMS

# The least part of an image that a crop has.
LEAST_AREA = 0.25
# How much brightness, contrast and saturation change.
COLORS = 0.4, 0.4, 0.2


@TRANSFORMS.register_module()
class RandomView(BaseTransform):
    """Crops a quarter to all of an image, resizes it to a square, flips it horizontally, and changes its colors.

    Args:
        size: The square's height and width in pixels.

    Example:
        >>> view = RandomView(32)(dict(img=np.zeros((40, 60, 3), np.uint8), img_path='1.jpg'))
        >>> view['inputs'].shape, view['data_samples'].img_path
        (torch.Size([3, 32, 32]), '1.jpg')
    """

    def __init__(self, size: int) -> None:
        self.change = v2.Compose(
            [
                v2.RandomResizedCrop(size, scale=(LEAST_AREA, 1.0), antialias=True),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(*COLORS),
            ]
        )

    def transform(self, results: dict) -> dict:
        """Return the view as `inputs`, (3, size, size) of 8 bits in the order red, green, blue.

        Args:
            results: A sample with `img`, (H, W, 3) in the order blue, green, red, and `img_path`.
        """
        image = torch.from_numpy(np.ascontiguousarray(results['img'][..., ::-1].transpose(2, 0, 1)))
        return dict(
            inputs=self.change(image), data_samples=BaseDataElement(metainfo=dict(img_path=results['img_path']))
        )
