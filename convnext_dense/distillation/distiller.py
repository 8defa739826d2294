"""Trains a backbone to have the features of a frozen transformer."""

from collections.abc import Callable

import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.registry import MODELS as ALL_MODELS
from torch import Tensor, nn

from convnext_dense.distillation.standardization import Standardization
from convnext_dense.distillation.teacher import Teacher
from convnext_dense.registry import MODELS

# The weights of the two losses.
COSINE, SMOOTH_L1 = 0.9, 0.1


@MODELS.register_module()
class Distiller(BaseModel):
    """A ConvNeXt, each of whose last maps regresses the patch tokens of a teacher.

    A 1x1 convolution gives a map the teacher's channels, and bilinear interpolation the teacher's size. The loss is
    0.9 times one minus the cosine, and 0.1 times smooth L1, averaged over places, against the tokens after
    `Standardization`. Both networks see the same view, each in its own normalization.

    The teacher is frozen, and neither among the model's parameters nor in its state dict.

    Args:
        backbone: A ConvNeXt's config. `out_indices` are the stages that learn.
        teacher: The arguments of `Teacher`.
        data_preprocessor: mmengine's `ImgDataPreprocessor`, with the backbone's mean and standard deviation.

    Shape:
        Images (N, 3, H, W), H and W those of the teacher.

    Reference:
        The losses and their weights are those of `AM-RADIO <https://arxiv.org/abs/2312.06709>`_.

    Example:
        >>> import torch
        >>> model = Distiller(
        ...     backbone=dict(type='convnext_dense.ConvNeXt', arch='atto', out_indices=[2, 3]),
        ...     teacher=dict(model_name='vit_tiny_patch16_224', image_size=64),
        ...     data_preprocessor=dict(type='ImgDataPreprocessor', mean=[127.0] * 3, std=[57.0] * 3),
        ... )
        >>> list(model(torch.rand(2, 3, 64, 64), mode='loss'))
        ['loss_stage3_cosine', 'loss_stage3_smooth_l1', 'loss_stage4_cosine', 'loss_stage4_smooth_l1']
    """

    def __init__(self, backbone: dict, teacher: dict, data_preprocessor: dict) -> None:
        super().__init__(data_preprocessor)
        self.backbone = ALL_MODELS.build(backbone)
        # A tuple is no module, so the teacher is none of the model's.
        self._teacher = (Teacher(**teacher),)
        channels = self.teacher.channels
        self.heads = nn.ModuleList(
            nn.Conv2d(self.backbone.channels[i], channels, kernel_size=1) for i in self.backbone.out_indices
        )
        self.standardize = Standardization(channels)

    @property
    def teacher(self) -> Teacher:
        """The teacher."""
        return self._teacher[0]

    def init_weights(self) -> None:
        """Initialize the backbone by its `init_cfg`, and read the teacher's weights."""
        super().init_weights()
        self.teacher.read_weights()

    def forward(self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor') -> dict | list:
        """Return the losses of a batch, or the backbone's maps.

        Args:
            inputs: Images (N, 3, H, W) in the backbone's normalization.
            data_samples: Not used: there are no annotations.
            mode: 'loss' or 'tensor'.
        """
        maps = self.backbone(inputs)
        if mode != 'loss':
            return list(maps)
        pixels = inputs * self.data_preprocessor.std + self.data_preprocessor.mean
        target = self.standardize(self.teacher(pixels))
        losses = {}
        for i, head, features in zip(self.backbone.out_indices, self.heads, maps, strict=True):
            predicted = F.interpolate(head(features).float(), target.shape[-2:], mode='bilinear', align_corners=False)
            cosine = F.cosine_similarity(predicted, target, dim=1)
            losses[f'loss_stage{i + 1}_cosine'] = COSINE * (1 - cosine).mean()
            losses[f'loss_stage{i + 1}_smooth_l1'] = SMOOTH_L1 * F.smooth_l1_loss(predicted, target)
        return losses

    def _apply(self, fn: Callable, recurse: bool = True) -> 'Distiller':
        # It moves to the model's device, too.
        self.teacher._apply(fn)
        return super()._apply(fn, recurse)
