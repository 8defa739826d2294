"""A frozen transformer of timm, whose patch tokens are a map."""

import timm
import torch
from torch import Tensor, nn

from convnext_dense.backbones.timm_backbone import create_with_weights, timm_weights
from convnext_dense.backbones.timm_description import describe, forward_features, prune
from convnext_dense.errors import UsageError
from convnext_dense.errors import describe as describe_error
from convnext_dense.meta_device import without_allocating
from convnext_dense.weights.load_timm import load_timm_pretrained

TIMM = 'timm/'
# Of a plain model any stride will do: its description asks for its only map.
STRIDES = (16,)


class Teacher(nn.Module):
    """A transformer of timm in eval mode, whose last patch tokens, after its final norm, are a map.

    Class and register tokens are left out. Its weights do not change, and are read when they are first needed.

    Args:
        model_name: timm's name, such as 'vit_base_patch16_dinov3'.
        image_size: The height and width of images in pixels, a multiple of the patch size.
        checkpoint: A source of `read_weights`: ``timm://MODEL.TAG``, or a file in timm's names. None is random weights.

    Shape:
        - Input: (N, 3, image_size, image_size), pixels from 0 to 255 in the order red, green, blue.
        - Output: (N, channels, image_size / patch, image_size / patch).

    Raises:
        ValueError: If timm cannot build it for images of this size.
        CheckpointError: When the weights are read, if they cannot be or do not fit.

    Example:
        >>> Teacher('vit_tiny_patch16_224', 32)(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 192, 2, 2])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model_name: str, image_size: int, checkpoint: str | None = None) -> None:
        super().__init__()
        self.model_name = model_name
        self.arguments = dict(img_size=image_size)
        self.unread_checkpoint = checkpoint
        try:
            self.model = timm.create_model(model_name, num_classes=0, **self.arguments)
        except (TypeError, AssertionError) as error:
            raise ValueError(
                f'timm cannot build {model_name} for images of {image_size} pixels: {describe_error(error)}.'
            ) from error
        infos = _feature_infos(self.model)
        self.last = len(infos) - 1
        prune(self.model, [self.last], is_plain=True)
        self.channels: int = infos[-1]['num_chs']
        config = self.model.pretrained_cfg
        for name in ('mean', 'std'):
            self.register_buffer(name, 255 * torch.tensor(config[name]).view(-1, 1, 1), persistent=False)
        self.requires_grad_(False)
        self.eval()

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        """Return the map of patch tokens."""
        self.read_weights()
        images = (pixels - self.mean) / self.std
        return forward_features(self.model, images, [self.last], is_plain=True)[0]

    def read_weights(self) -> None:
        """Read the weights, unless that is done."""
        if self.unread_checkpoint:
            load_timm_pretrained(self, self.unread_checkpoint)
            self.unread_checkpoint = None

    def load_timm_weights(self, weights: dict[str, Tensor]) -> None:
        """Load weights as timm publishes them, with or without their classifier.

        Args:
            weights: A state dict in timm's names.

        Raises:
            RuntimeError: If tensors are missing or unexpected.
        """
        model = create_with_weights(self.model_name, self.arguments, weights)
        prune(model, [self.last], is_plain=True)
        self.model.load_state_dict(model.state_dict())


def teacher_config(name: str, image_size: int, checkpoint: str | None = None) -> dict:
    """Return the arguments of a `Teacher` by its name.

    Args:
        name: ``timm/MODEL`` or ``timm/MODEL.TAG``.
        image_size: The height and width of images in pixels.
        checkpoint: A file of its weights, or another source of `read_weights`. Defaults to timm's published ones.

    Raises:
        UsageError: If timm has no such model or no weights of it, it has no patch tokens, or the size does not fit.

    Example:
        >>> teacher_config('timm/vit_small_patch14_dinov2', 224)['checkpoint']
        'timm://vit_small_patch14_dinov2.lvd142m'
        >>> teacher_config('timm/vit_small_patch14_dinov2', 256)
        Traceback (most recent call last):
        convnext_dense.errors.UsageError: size: 256 is no multiple of 14, the teacher's patch size; take 252 or 266.
    """
    model_name = name.removeprefix(TIMM)
    if not name.startswith(TIMM) or not model_name:
        raise UsageError(f'teacher {name}: a teacher is a transformer of timm, named as timm/vit_base_patch16_dinov3.')
    try:
        is_plain = describe(model_name, {}, STRIDES).is_plain
    except ValueError as error:
        raise UsageError(f'teacher {name}: {error}') from error
    if not is_plain:
        raise UsageError(
            f'teacher {name}: it has no patch tokens, but maps of several sizes; take a plain transformer, such as '
            'timm/vit_base_patch16_dinov3.'
        )
    patch = _patch_size(model_name)
    if image_size % patch:
        below = image_size // patch * patch
        sizes = f'{below} or {below + patch}' if below else str(patch)
        raise UsageError(f"size: {image_size} is no multiple of {patch}, the teacher's patch size; take {sizes}.")
    checkpoint = checkpoint or timm_weights(model_name)
    if checkpoint is None:
        raise UsageError(f'teacher {name}: timm publishes no weights of it; give teacher_weights.')
    return dict(model_name=model_name, image_size=image_size, checkpoint=checkpoint)


def _patch_size(model_name: str) -> int:
    with without_allocating():
        return _feature_infos(timm.create_model(model_name, num_classes=0))[-1]['reduction']


def _feature_infos(model: nn.Module) -> list[dict]:
    """Return what timm says of each block's map."""
    assert isinstance(model.feature_info, list)
    return model.feature_info
