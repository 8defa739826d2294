"""A backbone with what feeds it images: that of a trained model, or one by its name."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.model import ImgDataPreprocessor
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from convnext_dense.build_errors import message_of
from convnext_dense.config.backbone.create import create_backbone
from convnext_dense.config.backbone.names import CONVNEXT, NAME, SCOPES, parse_backbone
from convnext_dense.config.find import is_model
from convnext_dense.errors import RunError, UsageError
from convnext_dense.inference.find_model import find_model
from convnext_dense.inference.model import Model, quiet
from convnext_dense.inference.network import find_device
from convnext_dense.inference.pipeline import PredictPipeline
from convnext_dense.weights.origin import initial_weights

RANDOM = 'random weights'
SEED = 0
# As in tests on ADE20K.
SCALE = (2048, 512)
DIVISOR = 32


@dataclass(frozen=True)
class FedBackbone:
    """A backbone with what feeds it images.

    Args:
        name: What it is called.
        weights: Where its weights are from, or `RANDOM`.
        network: The backbone.
        preprocessor: What normalizes images for it, and pads them.
        pipeline: What makes pixels of an image.
        scope: Where the pipeline's and the preprocessor's types are looked for.
        in_channels: The channels of its images.
        device: Where it is.
    """

    name: str
    weights: str
    network: nn.Module
    preprocessor: nn.Module
    pipeline: PredictPipeline
    scope: str
    in_channels: int
    device: torch.device

    @property
    def described_weights(self) -> str:
        """Where its weights are from, as a caption."""
        return self.weights if self.weights == RANDOM else f'weights: {self.weights}'

    def normalize(self, pixels: Tensor) -> Tensor:
        """Return an image as the network takes it, with shape (1, channels, H, W), padded to the right and below.

        Args:
            pixels: The image as the pipeline gives it, with shape (channels, height, width).

        Raises:
            UsageError: If it cannot be normalized.
        """
        with self.running(pixels.shape[-2:]), torch.no_grad():
            return self.preprocessor(dict(inputs=[pixels]), False)['inputs']

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Return the feature maps of an image, of shape (channels, height, width) each, without its padding.

        Args:
            pixels: The image, as in `normalize`.

        Raises:
            UsageError: If the network cannot take it.
        """
        inputs = self.normalize(pixels)
        with self.running(pixels.shape[-2:]), torch.no_grad():
            maps = self.network(inputs)
        if not isinstance(maps, list | tuple) or not all(isinstance(x, Tensor) and x.ndim == 4 for x in maps):
            raise UsageError(f'backbone {self.name}: it gives no list of maps of the shape (N, C, H, W).')
        if not all(x.isfinite().all() for x in maps):
            raise RunError(f'backbone {self.name}: its feature maps are not finite.')
        # Sizes in pixels of the image, rounded up.
        sizes = [
            [-(-size * x.shape[i] // inputs.shape[i]) for i, size in ((-2, pixels.shape[-2]), (-1, pixels.shape[-1]))]
            for x in maps
        ]
        return [x[0, :, :height, :width].float() for x, (height, width) in zip(maps, sizes, strict=True)]

    @contextmanager
    def running(self, size: tuple[int, ...]) -> Generator[None]:
        """Look names up in the scope, and say in one sentence what goes wrong.

        Args:
            size: Height and width of the image in pixels.

        Raises:
            UsageError: If it cannot take such an image.
            RunError: If the memory is full.
        """
        try:
            with DefaultScope.overwrite_default_scope(self.scope):
                yield
        except (UsageError, RunError):
            raise
        except torch.OutOfMemoryError as error:
            raise RunError(
                f'the memory of {self.device} is full; give smaller images, or a smaller backbone.'
            ) from error
        except Exception as error:
            raise UsageError(
                f'backbone {self.name}: it cannot take an image of {size[0]} x {size[1]}: '
                f'{message_of(error).rstrip(".")}.'
            ) from error


def load_fed_backbone(
    source: str, checkpoint: str | None = None, pretrained: bool = True, device: str | None = None
) -> FedBackbone:
    """Load the backbone of a trained model, or make one by its name.

    Args:
        source: A model as in `find_model`, or a backbone as in `parse_backbone`.
        checkpoint: As in `find_model`.
        pretrained: Whether a backbone by its name has its published weights. Otherwise they are random, from seed 0.
        device: Such as 'cuda:1'. Defaults to the GPU if there is one, and else the CPU.

    Raises:
        UsageError: If there is no such model and no such backbone.
        CheckpointError: If weights cannot be fetched or do not fit.

    Example:
        >>> load_fed_backbone('convnext_atto', pretrained=False, device='cpu').weights
        'random weights'
    """
    if not is_backbone(source):
        return _of_model(Model(find_model(source, checkpoint), device))
    if checkpoint:
        raise UsageError(f'model: {source} is the name of a backbone; give the config of {checkpoint} before it.')
    named = parse_backbone(source, pretrained=pretrained)
    place = find_device(device)
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(SEED)
        network, _, normalization = create_backbone(source, pretrained)
    preprocessor = ImgDataPreprocessor(**normalization, pad_size_divisor=DIVISOR)
    loading = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=SCALE, keep_ratio=True),
        dict(type='PackSegInputs'),
    ]
    cfg = Config(dict(default_scope='mmseg', test_dataloader=dict(dataset=dict(pipeline=loading))))
    with DefaultScope.overwrite_default_scope('mmseg'):
        pipeline = PredictPipeline(cfg)
    channels = named.config.get('in_channels', 3)
    # mmdet's backbones return nothing from `eval`.
    network.to(place).eval()
    return FedBackbone(
        source, initial_weights(network) or RANDOM, network, preprocessor.to(place), pipeline, 'mmseg', channels, place
    )


def is_backbone(source: str) -> bool:
    """Return whether a text is written as the name of a backbone, and is neither a folder nor a file of weights.

    Args:
        source: The text.

    Example:
        >>> [is_backbone(text) for text in ('convnext_tiny', 'timm/resnet50', 'work_dirs/my_run', 'epoch_3.pth')]
        [True, True, False, False]
    """
    match = NAME.fullmatch(source.strip())
    if not match or is_model(source) or source.endswith('.py'):
        return False
    return match['scope'] in SCOPES if match['scope'] else bool(CONVNEXT.fullmatch(match['name']))


def _of_model(model: Model) -> FedBackbone:
    network, preprocessor = (getattr(model.module, name, None) for name in ('backbone', 'data_preprocessor'))
    if not isinstance(network, nn.Module) or not isinstance(preprocessor, nn.Module):
        raise UsageError(f'model: {type(model.module).__name__} has no backbone and data_preprocessor.')
    channels = (model.cfg.model.get('backbone') or {}).get('in_channels', 3)
    return FedBackbone(
        model.name,
        model.checkpoint,
        network,
        preprocessor,
        model.pipeline,
        model.cfg.default_scope,
        channels,
        model.device,
    )
