"""RoIAlign on the level of a feature pyramid that fits each region."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import roi_align

# PyTorch 2.6 cannot tell it from the annotations.
SCHEMA = '(Tensor[] features, Tensor regions, Tensor levels, float[] scales, int size, int samples) -> Tensor'


@torch.library.custom_op('convnext_dense::pool_regions', mutates_args=(), schema=SCHEMA)
def pool_regions(
    features: Sequence[Tensor], regions: Tensor, levels: Tensor, scales: Sequence[float], size: int, samples: int
) -> Tensor:
    """Return the features of regions by RoIAlign (https://arxiv.org/abs/1703.06870), each from one level.

    Args:
        features: The levels' feature maps, with shape (N, C, H_i, W_i).
        regions: The number of the image, left, top, right and bottom in pixels, with shape (R, 5).
        levels: The level of each region, with shape (R,).
        scales: How many pixels of a level a pixel of the image is.
        size: The height and width of the result.
        samples: How many points a bin has in each direction; 0 for as many as its size asks for.

    Returns:
        With shape (R, C, size, size).

    Example:
        >>> features = [torch.ones(1, 2, 8, 8), torch.zeros(1, 2, 4, 4)]
        >>> regions = torch.tensor([[0.0, 4, 4, 12, 12], [0, 0, 0, 32, 32]])
        >>> pool_regions(features, regions, torch.tensor([0, 1]), [1 / 4, 1 / 8], 1, 0).flatten(1)
        tensor([[1., 1.],
                [0., 0.]])
    """
    pooled = features[0].new_zeros((len(regions), features[0].shape[1], size, size))
    for i, (feature, scale) in enumerate(zip(features, scales, strict=True)):
        chosen = (levels == i).nonzero().flatten()
        pooled[chosen] = roi_align(feature, regions[chosen], size, scale, samples, aligned=True)
    return pooled


@pool_regions.register_fake
def _(
    features: Sequence[Tensor], regions: Tensor, levels: Tensor, scales: Sequence[float], size: int, samples: int
) -> Tensor:
    return features[0].new_empty((regions.shape[0], features[0].shape[1], size, size))
