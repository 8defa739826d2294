"""Any model of timm as a backbone with a feature map of each stage."""

from collections.abc import Sequence

import timm
import torch.nn.functional as F
from mmengine.model import BaseModule, initialize
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from convnext_dense.backbones.base import own_pretrained
from convnext_dense.backbones.timm_description import create, describe, maps_of
from convnext_dense.layers import LayerNorm2d, SimpleFeaturePyramid
from convnext_dense.registry import MODELS


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """A model of timm, without its classifier, with maps of stride 4, 8, 16 and 32.

    A hierarchical model (ResNet, EfficientNet, Swin, ConvNeXt, ...) gives its own maps, the last of each stride. A
    plain one (ViT, DINOv2, DINOv3, EVA, ...) has one stride only; ViTDet's simple feature pyramid makes the maps from
    its last, after its own norm. Positional embeddings are resampled to the image, and a patch that is no power of 2,
    such as DINOv2's 14, becomes 16, its weights resampled, both by timm.

    Images are padded with zeros at the right and at the bottom to a size that the model can take, and the maps cropped.
    A model with a fixed size refuses others; `model_args` can set another size.

    Args:
        model_name: timm's name, such as 'resnet50' or 'vit_small_patch16_224.augreg_in1k'.
        in_channels: Channels of the image.
        out_indices: The maps to return, in rising order: i is the map of stride 4 * 2**i.
        output_norm: Whether each map has a LayerNorm ``norm{i}`` of its own, as ConvNeXt's and Swin's detectors have.
        pyramid_channels: Channels of each level of a plain model's pyramid.
        frozen_stages: How many stages, the stem with the first, are frozen: no gradients, and always in eval mode. A
            plain model's blocks count as stages.
        norm_eval: Whether BatchNorm keeps the statistics it was trained with, as small batches ask for.
        drop_path_rate: Stochastic depth, as the model spreads it over its blocks.
        with_cp: Whether training recomputes blocks in the backward pass to save memory.
        model_args: Further arguments of timm's model, such as ``dict(img_size=512)``.
        init_cfg: mmengine's initialisation. ``dict(type='Pretrained', checkpoint='timm://resnet50.a1_in1k')`` loads
            timm's weights, and a path a file of them. Defaults to timm's own initialisation.

    Shape:
        - Input: (N, in_channels, H, W).
        - Output: a tuple of (N, channels[i], H / s, W / s), rounded up, one per entry of `out_indices`.

    Raises:
        ValueError: If an argument is none of what is allowed, or the model cannot take an image's size.

    Reference:
        `timm <https://github.com/huggingface/pytorch-image-models>`_ and `ViTDet <https://arxiv.org/abs/2203.16527>`_

    Example:
        >>> import torch
        >>> from convnext_dense.backbones import TimmBackbone
        >>> [tuple(each.shape) for each in TimmBackbone('resnet18')(torch.rand(1, 3, 64, 96))]
        [(1, 64, 16, 24), (1, 128, 8, 12), (1, 256, 4, 6), (1, 512, 2, 3)]
        >>> [tuple(each.shape) for each in TimmBackbone('vit_tiny_patch16_224')(torch.rand(1, 3, 60, 96))]
        [(1, 256, 15, 24), (1, 256, 8, 12), (1, 256, 4, 6), (1, 256, 2, 3)]
    """

    def __init__(
        self,
        model_name: str,
        in_channels: int = 3,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        output_norm: bool = False,
        pyramid_channels: int = 256,
        frozen_stages: int = 0,
        norm_eval: bool = False,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        model_args: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(own_pretrained(init_cfg))
        if not isinstance(out_indices, Sequence) or list(out_indices) != sorted({i for i in out_indices if i >= 0}):
            raise ValueError(f'out_indices must rise from 0 or more, as in (0, 1, 2, 3); got {out_indices!r}.')
        if not out_indices:
            raise ValueError('out_indices must name at least one map; got none.')
        self.model_name = model_name
        self.out_indices = tuple(out_indices)
        self.strides = tuple(4 * 2**i for i in self.out_indices)
        self.norm_eval = norm_eval
        arguments = {'in_chans': in_channels, 'drop_path_rate': drop_path_rate, **(model_args or {})}
        self.described = describe(model_name, arguments, self.strides)
        self.model = create(model_name, self.described)
        if with_cp:
            self._checkpoint_activations()
        self.pyramid = None
        self.channels = self.described.channels
        if self.described.is_plain:
            self.pyramid = SimpleFeaturePyramid(
                self.channels[0], self.described.strides[0], self.strides, pyramid_channels
            )
            self.channels = (pyramid_channels,) * len(self.strides)
        self.output_norm = output_norm
        if output_norm:
            for i, channels in zip(self.out_indices, self.channels, strict=True):
                self.add_module(f'norm{i}', LayerNorm2d(channels))
        self._frozen = self._frozen_modules(frozen_stages)
        self._freeze()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps of `x`, (N, in_channels, H, W)."""
        height, width = x.shape[-2:]
        maps = maps_of(self.model, self._fit(x), self.described.features, self.described.is_plain)
        if self.pyramid is not None:
            maps = self.pyramid(maps[0])
        maps = [each[..., : -(-height // s), : -(-width // s)] for each, s in zip(maps, self.strides, strict=True)]
        if self.output_norm:
            maps = [getattr(self, f'norm{i}')(each) for i, each in zip(self.out_indices, maps, strict=True)]
        return tuple(maps)

    def train(self, mode: bool = True) -> 'TimmBackbone':
        """Set the mode of all but the frozen stages and, with `norm_eval`, BatchNorm, which stay in eval mode."""
        super().train(mode)
        self._freeze()
        return self

    def init_weights(self) -> None:
        """Initialise by `init_cfg`; without one, timm's own initialisation stays."""
        if self.init_cfg:
            initialize(self, self.init_cfg)

    def load_timm_weights(self, weights: dict[str, Tensor]) -> None:
        """Load weights in timm's names, those of a classifier as timm publishes them, through timm's own loading.

        timm resamples patch and positional embeddings, adapts the stem to `in_channels`, and drops the classifier.

        Args:
            weights: A state dict.

        Raises:
            RuntimeError: If the weights do not fit the model.
        """
        self.model.load_state_dict(create(self.model_name, self.described, weights).state_dict())

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's layer id and the number of layers, by mmpretrain's protocol for learning-rate decay.

        The layers are those of timm's own parameter groups. What is not timm's, the pyramid and the output norms, is at
        the head's.

        Args:
            param_name: The parameter's full name.
            prefix: What the backbone's names begin with; a parameter without it belongs to the head.

        Example:
            >>> TimmBackbone('resnet18').get_layer_depth('backbone.model.layer1.0.conv1.weight', 'backbone.')
            (1, 10)
        """
        num_layers = self.described.num_layers
        name = param_name.removeprefix(f'{prefix}model.')
        return self.described.layer_ids.get(name, num_layers - 1), num_layers

    def no_weight_decay(self) -> set[str]:
        """Return the names of the parameters that timm's model wants no weight decay for, such as ``pos_embed``."""
        return {f'model.{name}' for name in self.described.no_weight_decay}

    def _fit(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        divisor, fixed = self.described.size_divisor, self.described.fixed_size
        if divisor:
            return F.pad(x, (0, -width % divisor, 0, -height % divisor))
        if (height, width) != fixed:
            raise ValueError(
                f'{self.model_name} is built for images of {fixed[0]} x {fixed[1]} and takes no others; got '
                f'{height} x {width}. Crop or resize to that, or build it for another size by '
                f"model_args=dict(img_size=({height}, {width})), as --backbone 'timm/NAME(img_size=...)' does."
            )
        return x

    def _checkpoint_activations(self) -> None:
        try:
            self.model.set_grad_checkpointing(True)
        except AssertionError as error:
            raise ValueError(f'with_cp: {self.model_name} of timm cannot recompute activations ({error}).') from error

    def _frozen_modules(self, frozen_stages: int) -> list[nn.Module]:
        """Freeze the parameters up to the end of the stages, and return the modules that hold no others."""
        stages = self.described.stages
        if frozen_stages not in range(-1, len(stages) + 1):
            kind = 'blocks' if self.described.is_plain else 'stages'
            raise ValueError(
                f'frozen_stages must be from 0 (none) to {len(stages)} (all {kind} of {self.model_name}); '
                f'got {frozen_stages}.'
            )
        if frozen_stages < 1:
            return []
        last = stages[frozen_stages - 1]
        names = [name for name in self.described.layer_ids if name.startswith(f'{last}.')]
        if not names:
            raise ValueError(f'frozen_stages: the parameters of {last} in {self.model_name} cannot be told.')
        end = max(self.described.layer_ids[name] for name in names)
        for name, parameter in self.model.named_parameters():
            if self.described.layer_ids.get(name, end + 1) <= end:
                parameter.requires_grad_(False)
        return [
            module
            for module in self.model.modules()
            if (parameters := list(module.parameters())) and not any(each.requires_grad for each in parameters)
        ]

    def _freeze(self) -> None:
        for module in self._frozen:
            module.eval()
        if self.norm_eval:
            for module in self.model.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()


def timm_weights(model_name: str) -> str | None:
    """Return the source of a timm model's weights for ``init_cfg``, or None if timm publishes none.

    Args:
        model_name: timm's name; without a tag, the default weights are meant.

    Example:
        >>> timm_weights('resnet18')
        'timm://resnet18.a1_in1k'
    """
    cfg = timm.get_pretrained_cfg(model_name)
    if cfg is None or not (cfg.hf_hub_id or cfg.url):
        return None
    return f'timm://{cfg.architecture}.{cfg.tag}' if cfg.tag else f'timm://{cfg.architecture}'
