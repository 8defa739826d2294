"""A backbone alone."""

from torch import Tensor, nn


class Backbone(nn.Module):
    """A model's backbone, which is fed what its data preprocessor makes.

    Args:
        model: The detector or segmenter.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.backbone = model.backbone
        # Its first weight says how many channels images have.
        first = next(weight for weight in self.backbone.parameters() if weight.dim() == 4)
        self.channels = first.shape[1]

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps.

        Args:
            inputs: With shape (N, C, H, W).
        """
        return tuple(self.backbone(inputs))
