"""A segmenter's data preprocessor for images of any number of channels."""

from typing import cast

from mmseg.models import SegDataPreProcessor as MMSegDataPreProcessor

from convnext_dense.datasets.channels import AnyChannels
from convnext_dense.registry import MODELS


@MODELS.register_module()
class SegDataPreProcessor(AnyChannels, MMSegDataPreProcessor):
    """mmseg's SegDataPreProcessor, which exchanges channels where there are three, for more channels as well.

    Args:
        bgr_to_rgb: Whether to exchange the first and the third channel. Others stay where they are.
        rgb_to_bgr: The same.
        arguments: mmseg's.
    """

    def __init__(self, bgr_to_rgb: bool = False, rgb_to_bgr: bool = False, **arguments: object) -> None:
        super().__init__(**cast(dict, arguments))
        self.exchange = bgr_to_rgb or rgb_to_bgr
