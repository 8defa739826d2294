"""A trained model that predicts on new images."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from convnext_dense.build_errors import build_sentence, message_of
from convnext_dense.config.data.replace import make_palette
from convnext_dense.config.device import fit_to_device
from convnext_dense.config.foreign import registered_types_only, without_weights
from convnext_dense.config.tree import leaf_datasets
from convnext_dense.errors import CheckpointError, UsageError
from convnext_dense.inference.find_model import FoundModel, find_model
from convnext_dense.inference.inputs import ImageInput, image_inputs
from convnext_dense.inference.pipeline import PredictPipeline
from convnext_dense.inference.result import Result, result_of
from convnext_dense.weights.matching import shorten
from convnext_dense.weights.sources import load_from_anywhere

COUNTER = 'num_batches_tracked'


def load_model(source: str | Path, checkpoint: str | None = None, device: str | None = None) -> 'Model':
    """Load a trained detector or segmenter.

    Args:
        source: The work directory of a training, whose best checkpoint is taken, or its last; a checkpoint of one,
            which holds its config; or, with `checkpoint`, a config's file or name.
        checkpoint: A file, an address or a published name.
        device: Such as 'cuda:1'. Defaults to the GPU if there is one, and else the CPU.

    Raises:
        UsageError: If the model is not there, cannot be built, or lacks weights.

    Example:
        >>> model = load_model('work_dirs/my_run')  # doctest: +SKIP
        >>> model.predict('photo.jpg').plot().save('predicted.png')  # doctest: +SKIP
    """
    return Model(find_model(source, checkpoint), device)


class Model:
    """A trained detector or segmenter. `load_model` makes one.

    Args:
        found: Its config and weights.
        device: Where it runs, as in `load_model`.

    Raises:
        UsageError: If it cannot be built, or lacks weights.
    """

    def __init__(self, found: FoundModel, device: str | None = None) -> None:
        self.cfg, self.checkpoint = found.cfg, found.checkpoint
        self.device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
        fit_to_device(self.cfg)
        content = load_from_anywhere(found.checkpoint)
        self.module = _build(found)
        _load(self.module, content, found.checkpoint)
        self.module.to(self.device).eval()
        self.pipeline = PredictPipeline(self.cfg)
        self.classes, self.colors = _classes(self.cfg, content, self.module)

    @property
    def is_detector(self) -> bool:
        """Whether it finds objects."""
        return self.cfg.default_scope == 'mmdet'

    def predict(self, inputs: Any, batch_size: int = 1, channels: str = 'rgb') -> Any:  # noqa: ANN401 - see Returns
        """Predict on images, as a test does.

        Args:
            inputs: An image, or several, as in `image_inputs`.
            batch_size: How many images are predicted on at a time. Only those of one size share a batch, so that the
                result does not depend on it.
            channels: The order of an array's channels, 'rgb' or 'bgr'.

        Returns:
            The `Result` of an image, or a list of them if `inputs` is a folder, a pattern or several images.

        Raises:
            UsageError: If an image is not there, or cannot be read.

        Example:
            >>> result = model.predict('photo.jpg')  # doctest: +SKIP
            >>> result.names, result.scores  # doctest: +SKIP
        """
        results = list(self.stream(image_inputs(inputs, channels), batch_size))
        is_one = not isinstance(inputs, str | Path | list | tuple | Iterator) or _is_file(inputs)
        return results[0] if is_one else results

    def stream(self, images: Iterable[ImageInput], batch_size: int = 1) -> Iterator[Result]:
        """Yield the result of each image, in their order, as soon as it is there.

        Args:
            images: The images.
            batch_size: As in `predict`.

        Raises:
            UsageError: If an image cannot be read.
        """
        batch: list[tuple[ImageInput, dict]] = []
        for image in images:
            packed = self.pipeline(image)
            if batch and (len(batch) == batch_size or _shape(packed) != _shape(batch[0][1])):
                yield from self._step(batch)
                batch = []
            batch.append((image, packed))
        if batch:
            yield from self._step(batch)

    def features(self, inputs: Any, channels: str = 'rgb') -> tuple[Tensor, ...]:  # noqa: ANN401 - see Args
        """Return the backbone's feature maps of an image, of shape (1, channels, height, width) each.

        Args:
            inputs: An image, as in `image_inputs`.
            channels: The order of an array's channels.

        Raises:
            UsageError: If there is not one image.

        Example:
            >>> [tuple(part.shape) for part in model.features('photo.jpg')]  # doctest: +SKIP
        """
        images = list(image_inputs(inputs, channels))
        if len(images) != 1:
            raise UsageError(f'inputs: features are those of one image; got {len(images)}.')
        with torch.inference_mode(), DefaultScope.overwrite_default_scope(self.cfg.default_scope):
            data = self.module.data_preprocessor(pseudo_collate([self.pipeline(images[0])]), False)
            return tuple(self.module.backbone(data['inputs']))

    def _step(self, batch: list[tuple[ImageInput, dict]]) -> Iterator[Result]:
        images, packed = zip(*batch, strict=True)
        with torch.inference_mode(), DefaultScope.overwrite_default_scope(self.cfg.default_scope):
            samples = self.module.test_step(pseudo_collate(list(packed)))
        for image, sample in zip(images, samples, strict=True):
            yield result_of(sample, image, self.classes, self.colors)


def _is_file(inputs: object) -> bool:
    if not isinstance(inputs, str | Path):
        return False
    return '://' in str(inputs) or Path(inputs).expanduser().is_file()


def _shape(packed: dict) -> tuple[int, ...]:
    return tuple(packed['inputs'].shape)


def _build(found: FoundModel) -> nn.Module:
    model = without_weights(found.cfg.model.to_dict())
    try:
        with (
            DefaultScope.overwrite_default_scope(found.cfg.default_scope),
            registered_types_only() if found.is_foreign else nullcontext(),
        ):
            return MODELS.build(Config(model)._cfg_dict)
    except UsageError:
        raise
    except Exception as error:
        reason = build_sentence(error, found.cfg, 'model') or message_of(error)
        raise UsageError(f'model: it cannot be built from its config: {reason}') from error


def _load(model: nn.Module, content: dict, source: str) -> None:
    weights = content.get('state_dict', content)
    weights = {name.removeprefix('module.'): value for name, value in weights.items()}
    try:
        missing = model.load_state_dict(weights, strict=False).missing_keys
    except RuntimeError as error:
        raise CheckpointError(f'{source} has weights of other shapes than the model: {message_of(error)}') from error
    missing = [name for name in missing if not name.endswith(COUNTER)]
    if missing:
        raise CheckpointError(f'{source} is no checkpoint of this model: it lacks {shorten(missing)}.')


def _classes(cfg: Config, content: dict, model: nn.Module) -> tuple[list[str], list[tuple[int, ...]]]:
    """Return the names and the colors of the classes: those of the training, or else those of the config's dataset."""
    meta = content.get('meta') if isinstance(content.get('meta'), dict) else {}
    info = meta.get('dataset_meta') or {}
    if not info.get('classes'):
        info = _metainfo(cfg)
    names = [str(name) for name in info.get('classes') or ()]
    palette = info.get('palette') or ()
    if len(palette) < len(names):
        palette = make_palette(len(names))
    return names, [tuple(int(part) for part in color) for color in palette]


def _metainfo(cfg: Config) -> dict:
    from mmengine.registry import DATASETS

    dataset = leaf_datasets((cfg.get('test_dataloader') or {}).get('dataset') or {})[0]
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        kind = DATASETS.get(dataset.get('type'))
    return {**(getattr(kind, 'METAINFO', None) or {}), **(dataset.get('metainfo') or {})}
