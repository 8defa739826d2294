"""Any model of timm as a backbone with a feature map from each stage."""

import copy
from collections.abc import Sequence

import timm
import torch
import torch.nn.functional as F
from mmengine.model import initialize
from timm.models import clean_state_dict
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from convnext_dense.backbones.argument_kinds import check_kinds
from convnext_dense.backbones.base import Backbone, is_positive, use_our_pretrained_init
from convnext_dense.backbones.timm_description import TimmModel, describe, forward_features, prune
from convnext_dense.layers import LayerNorm2d, SimpleFeaturePyramid
from convnext_dense.registry import MODELS


@MODELS.register_module()
class TimmBackbone(Backbone):
    """A model of timm, without its classifier, with maps of stride 4, 8, 16 and 32.

    A hierarchical model (ResNet, EfficientNet, Swin, ConvNeXt, ...) gives its own maps, the last of each stride. A
    plain model (ViT, DINOv2, DINOv3, EVA, ...) has one stride only. ViTDet's simple feature pyramid makes the maps from
    its last map, after the model's own norm. timm resamples positional embeddings to the image, and the weights of a
    patch whose size is no power of 2, such as DINOv2's 14, to a patch of 16.

    Images are padded with zeros at the right and at the bottom to a size that the model can take, and the maps are
    cropped. A model with a fixed size rejects other sizes; `model_args` can set another size.

    Args:
        model_name: timm's name, such as 'resnet50' or 'vit_small_patch16_224.augreg_in1k'.
        in_channels: Channels of the image.
        out_indices: The maps to return, in rising order. i is the map of stride 4 * 2**i.
        output_norm: Whether each map passes its own LayerNorm ``norm{i}``, as in ConvNeXt's and Swin's detectors.
        pyramid_channels: Channels of each level of a plain model's pyramid.
        frozen_stages: The number of frozen stages: no gradients, and always in eval mode. The first includes the stem.
            A plain model's blocks count as stages.
        norm_eval: Whether BatchNorm keeps the statistics it was trained with, as small batches require.
        drop_path_rate: Stochastic depth, as the model spreads it over its blocks.
        with_cp: Whether training recomputes blocks in the backward pass to save memory.
        model_args: Further arguments of timm's model, such as ``dict(img_size=512)``.
        init_cfg: mmengine's initialization. ``dict(type='Pretrained', checkpoint='timm://resnet50.a1_in1k')`` loads
            timm's weights, and a path loads a file of them. Defaults to timm's own initialization.

    Shape:
        - Input: (N, in_channels, H, W).
        - Output: a tuple of (N, channels[i], H / s, W / s), rounded up, one per entry of `out_indices`.

    Raises:
        ValueError: If an argument has a value that is not allowed, or the model cannot take an image's size.

    Reference:
        `timm <https://github.com/huggingface/pytorch-image-models>`_ and `ViTDet <https://arxiv.org/abs/2203.16527>`_

    Example:
        >>> import torch
        >>> from convnext_dense.backbones import TimmBackbone
        >>> [tuple(x.shape) for x in TimmBackbone('resnet18')(torch.rand(1, 3, 64, 96))]
        [(1, 64, 16, 24), (1, 128, 8, 12), (1, 256, 4, 6), (1, 512, 2, 3)]
        >>> [tuple(x.shape) for x in TimmBackbone('vit_tiny_patch16_224')(torch.rand(1, 3, 60, 96))]
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
        check_kinds(TimmBackbone.__init__, locals())
        super().__init__(use_our_pretrained_init(init_cfg))
        for name, value in dict(in_channels=in_channels, pyramid_channels=pyramid_channels).items():
            if not is_positive(value):
                raise ValueError(f'{name} must be a positive integer; got {value!r}.')
        if list(out_indices) != sorted({i for i in out_indices if i >= 0}):
            raise ValueError(f'out_indices must rise from 0 or more, as in (0, 1, 2, 3); got {out_indices!r}.')
        if not out_indices:
            raise ValueError('out_indices must name at least one map; got none.')
        self.model_name = model_name
        self.out_indices = tuple(out_indices)
        self.strides = tuple(4 * 2**i for i in self.out_indices)
        self.norm_eval = norm_eval
        arguments = {'in_chans': in_channels, 'drop_path_rate': drop_path_rate, **(model_args or {})}
        drop_path_rate = arguments.pop('drop_path_rate')
        self.described = describe(model_name, arguments, self.strides)
        self.model = _create(model_name, self.described, drop_path_rate)
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
        maps = forward_features(self.model, self._fit(x), self.described.features, self.described.is_plain)
        if self.pyramid is not None:
            maps = self.pyramid(maps[0])
        # Not `-(-height // s)`: ONNX divides towards zero.
        cropped = [
            y[..., : (height + s - 1) // s, : (width + s - 1) // s] for y, s in zip(maps, self.strides, strict=True)
        ]
        if self.output_norm:
            cropped = [getattr(self, f'norm{i}')(y) for i, y in zip(self.out_indices, cropped, strict=True)]
        return tuple(cropped)

    def train(self, mode: bool = True) -> 'TimmBackbone':
        """Set the mode. Frozen stages and, with `norm_eval`, BatchNorm stay in eval mode."""
        super().train(mode)
        self._freeze()
        return self

    def init_weights(self) -> None:
        """Initialize by `init_cfg`. Without one, timm's own initialization stays."""
        if self.init_cfg:
            initialize(self, self.init_cfg)
        self.weights_from = self.weights_from or "random, by timm's initialization"

    def load_timm_weights(self, weights: dict[str, Tensor]) -> None:
        """Load weights as timm publishes them, with or without their classifier, by timm's own loading.

        timm resamples patch and positional embeddings, adapts the stem to `in_channels`, and drops the classifier.

        Args:
            weights: A state dict in timm's names.

        Raises:
            RuntimeError: If tensors are missing or unexpected.
        """
        model = create_with_weights(self.model_name, self.described.arguments, weights)
        prune(model, self.described.features, self.described.is_plain)
        self.model.load_state_dict(model.state_dict())

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's layer id and the number of layers, by mmpretrain's protocol for learning-rate decay.

        The layers are those of timm's own parameter groups. The pyramid and the output norms, which are not timm's,
        have the head's id.

        Args:
            param_name: The parameter's full name.
            prefix: What the backbone's names begin with. A parameter without it belongs to the head.

        Example:
            >>> TimmBackbone('resnet18').get_layer_depth('backbone.model.layer1.0.conv1.weight', 'backbone.')
            (1, 10)
        """
        num_layers = self.described.num_layers
        name = param_name.removeprefix(f'{prefix}model.')
        return self.described.layer_ids.get(name, num_layers - 1), num_layers

    def no_weight_decay(self) -> set[str]:
        """Return the names of the parameters that timm exempts from weight decay, such as ``pos_embed``."""
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
                f"model_args=dict(img_size=({height}, {width})), as backbone='timm/NAME(img_size=...)' does."
            )
        return x

    def _checkpoint_activations(self) -> None:
        try:
            self.model.set_grad_checkpointing(True)
        except AssertionError as error:
            raise ValueError(f'with_cp: {self.model_name} of timm cannot recompute activations ({error}).') from error

    def _frozen_modules(self, frozen_stages: int) -> list[nn.Module]:
        """Freeze the parameters up to the end of the stages, and return the modules that have no other parameters."""
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
            raise ValueError(f'frozen_stages: {last} of {self.model_name} has no parameters.')
        end = max(self.described.layer_ids[name] for name in names)
        for name, parameter in self.model.named_parameters():
            if self.described.layer_ids.get(name, end + 1) <= end:
                parameter.requires_grad_(False)
        return [
            module
            for module in self.model.modules()
            if (parameters := list(module.parameters())) and not any(param.requires_grad for param in parameters)
        ]

    def _freeze(self) -> None:
        for module in self._frozen:
            module.eval()
        if self.norm_eval:
            for module in self.model.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()


def _create(model_name: str, described: TimmModel, drop_path_rate: float) -> nn.Module:
    """Create a described model without its classifier and what follows its last map."""
    # `torch.get_default_device` of PyTorch 2.6 does not see a `with torch.device(...)`.
    if torch.empty(0).is_meta and not drop_path_rate:
        return copy.deepcopy(described.model)
    arguments = described.arguments
    if drop_path_rate or described.has_drop_path:
        arguments = arguments | {'drop_path_rate': drop_path_rate}
    try:
        model = timm.create_model(model_name, **arguments)
    except TypeError as error:
        raise ValueError(f'timm cannot build {model_name} with drop_path_rate={drop_path_rate}: {error}.') from error
    prune(model, described.features, described.is_plain)
    return model


def create_with_weights(model_name: str, arguments: dict, weights: dict[str, Tensor]) -> nn.Module:
    """Create a model of timm from a state dict of the whole model, with or without its classifier, by timm's loading.

    Args:
        model_name: timm's name.
        arguments: Arguments of `timm.create_model`.
        weights: The state dict, in timm's names.

    Raises:
        RuntimeError: If tensors are missing or unexpected.

    Example:
        >>> weights = timm.create_model('resnet18').state_dict()
        >>> type(create_with_weights('resnet18', {}, weights)).__name__
        'ResNet'
    """
    weights = clean_state_dict(weights)
    # Unless the number of classes is the weights', timm ignores missing and unexpected tensors.
    overlay = dict(state_dict=weights, num_classes=_num_classes(model_name, weights))
    pretrained: dict = dict(pretrained=True, pretrained_cfg_overlay=overlay, num_classes=overlay['num_classes'])
    return timm.create_model(model_name, **(arguments | pretrained))


def _num_classes(model_name: str, weights: dict[str, Tensor]) -> int:
    cfg = timm.get_pretrained_cfg(model_name)
    classifiers = (cfg and cfg.classifier) or ()
    names = [f'{name}.weight' for name in ([classifiers] if isinstance(classifiers, str) else classifiers)]
    return next((weights[name].shape[0] for name in names if name in weights), 0)


def timm_weights(model_name: str) -> str | None:
    """Return the source of a timm model's weights for ``init_cfg``, or None if timm publishes none.

    Args:
        model_name: timm's name. Without a tag, it means the default weights.

    Example:
        >>> timm_weights('resnet18')
        'timm://resnet18.a1_in1k'
    """
    cfg = timm.get_pretrained_cfg(model_name)
    if cfg is None or not (cfg.hf_hub_id or cfg.url):
        return None
    return f'timm://{cfg.architecture}.{cfg.tag}' if cfg.tag else f'timm://{cfg.architecture}'
