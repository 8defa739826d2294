"""A trained model that predicts on new images."""

import os
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch import Tensor

from convnext_dense.build_errors import message_of
from convnext_dense.config.device import fit_to_device
from convnext_dense.config.foreign import registered_types_only
from convnext_dense.errors import RunError, UsageError
from convnext_dense.evaluation.finite_predictions import HeadWatch
from convnext_dense.inference.find_model import FoundModel, find_model
from convnext_dense.inference.inputs import image_inputs
from convnext_dense.inference.network import build_network, find_device, load_weights, quiet
from convnext_dense.inference.pipeline import PredictPipeline, batches, classes_and_colors, dataset_info
from convnext_dense.inference.samples import result_of
from convnext_dense.inference.tiling.tiles import check_tiles, predict_tiles
from convnext_dense.registry import SCOPE
from convnext_dense.results.image_input import ImageInput
from convnext_dense.results.result import Result
from convnext_dense.weights.storage.checksums import verify_checksums
from convnext_dense.weights.storage.sources import load_from_anywhere

# Threads that read images while a GPU predicts, and how many images they are ahead. On a CPU they would take its cores
# from the model, and PyTorch waits in a loop for each of its own.
READERS, AHEAD = 2, 4


def load_model(
    source: str | Path, checkpoint: str | None = None, device: str | None = None, half: bool = False
) -> 'Model':
    """Load a trained detector or segmenter.

    Args:
        source: The work directory of a training, whose best checkpoint is taken, or its last; a checkpoint of one,
            which holds its config; the name of a published model; or, with `checkpoint`, a config's file or name.
        checkpoint: A file, an address or a published name.
        device: Such as 'cuda:1'. Defaults to the GPU if there is one, and else the CPU.
        half: Whether a GPU computes in 16 bits where PyTorch's autocast holds that to be safe.

    Raises:
        UsageError: If the model is not there, cannot be built, or lacks weights.

    Example:
        >>> model = load_model('work_dirs/my_run')  # doctest: +SKIP
        >>> model.predict('photo.jpg').plot().save('predicted.png')  # doctest: +SKIP
    """
    return Model(find_model(source, checkpoint), device, half)


class Model:
    """A trained detector or segmenter. `load_model` makes one.

    Args:
        found: Its config and weights.
        device: Where it runs, as in `load_model`.
        half: As in `load_model`.

    Attributes:
        name: What it is called.
        classes: The names of its classes.
        colors: A color for each class, as RGB.

    Raises:
        UsageError: If it cannot be built, or lacks weights.
    """

    def __init__(self, found: FoundModel, device: str | None = None, half: bool = False) -> None:
        self.cfg, self.checkpoint, self.name = found.cfg, found.checkpoint, found.name
        self.device = find_device(device)
        if half and self.device.type == 'cpu':
            raise UsageError('half: it makes a GPU faster, and there is none here, or it is not used.')
        self.half = half
        fit_to_device(self.cfg)
        verify_checksums(found.checkpoint)
        content = load_from_anywhere(found.checkpoint)
        with self._scope(), registered_types_only() if found.is_foreign else nullcontext():
            with quiet():
                self.module = build_network(found)
            self.pipeline = PredictPipeline(self.cfg)
            info, self.counts_from_1 = dataset_info(self.cfg)
        with quiet():
            load_weights(self.module, content, found.checkpoint)
        self.module.to(self.device).eval()
        self.watch = HeadWatch()
        self.watch.start(self.module)
        self.classes, self.colors = classes_and_colors(content, info)

    @property
    def is_detector(self) -> bool:
        """Whether it finds objects."""
        return self.cfg.default_scope == 'mmdet'

    def predict(
        self,
        inputs: Any,  # noqa: ANN401 - see Args
        batch_size: int = 1,
        channels: str = 'rgb',
        tile: int | None = None,
        overlap: float = 0.2,
    ) -> Any:  # noqa: ANN401 - see Returns
        """Predict on images, as a test does. Objects of all scores are returned; `Result.at_least` chooses.

        Args:
            inputs: An image, or several, as in `image_inputs`.
            batch_size: How many images are predicted on at a time. Only those of one size share a batch, so that the
                result does not depend on it.
            channels: The order of an array's channels, 'rgb' or 'bgr'.
            tile: The side in pixels of tiles that a large image is predicted on in, as in `predict_tiles`; None for the
                whole image at a time.
            overlap: Which part of a tile the next one shares.

        Returns:
            The `Result` of an image, or a list of them if `inputs` is a folder, a pattern, a video or several images.

        Raises:
            UsageError: If an image is not there, or cannot be read.

        Example:
            >>> result = model.predict('photo.jpg')  # doctest: +SKIP
            >>> result.names, result.scores  # doctest: +SKIP
        """
        is_one = not isinstance(inputs, str | Path | list | tuple | Iterator) or _is_image(inputs)
        results = list(self.stream(image_inputs(inputs, channels), batch_size, tile, overlap))
        return results[0] if is_one and len(results) == 1 else results

    def stream(
        self,
        images: Iterable[ImageInput],
        batch_size: int = 1,
        tile: int | None = None,
        overlap: float = 0.2,
        on_unreadable: Callable[[ImageInput, UsageError], None] | None = None,
    ) -> Iterator[Result]:
        """Yield the result of each image, in their order, as soon as it is there. Memory stays flat.

        Args:
            images: The images.
            batch_size: As in `predict`.
            tile: As in `predict`.
            overlap: As in `predict`.
            on_unreadable: Called with an image that cannot be read, and why, in place of an error.

        Raises:
            UsageError: If an image cannot be read.
        """
        if batch_size < 1:
            raise UsageError(f'batch_size: it must be at least 1; got {batch_size}.')
        check_tiles(tile, overlap)
        if tile is None:
            for batch in batches(self._read(images, on_unreadable), batch_size):
                yield from self._step(batch)
            return
        for image in images:
            try:
                loaded = self.pipeline.load(image)
            except UsageError as error:
                _report(on_unreadable, image, error)
                continue
            whole = Result(image, loaded['img'].shape[:2], self.classes, self.colors)
            yield predict_tiles(loaded, whole, tile, overlap, partial(self._parts, image, batch_size))

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
        images = list(islice(image_inputs(inputs, channels), 2))
        if len(images) != 1:
            raise UsageError('inputs: features are those of one image; got several.')
        with self._running(images):
            data = self.module.data_preprocessor(pseudo_collate([self.pipeline(images[0])]), False)
            return tuple(self.module.backbone(data['inputs']))

    def export(
        self,
        file: str | Path | None = None,
        calibrate: Any = (),  # noqa: ANN401 - see Args
        **options: Any,  # noqa: ANN401 - see Args
    ) -> Path:
        """Write it for another runtime, such as ONNX Runtime, and return the file.

        Args:
            file: The file. Defaults to ``exports/NAME``, with the format's suffix.
            calibrate: Images for ``int8=True``, as in `image_inputs`.
            options: As in `ExportOptions`.

        Raises:
            UsageError: If a part of it cannot be exported.

        Example:
            >>> model.export('my_run.onnx')  # doctest: +SKIP
            >>> model.export(to='openvino', shape=(512, 512))  # doctest: +SKIP
        """
        from convnext_dense.export.exporting import ExportOptions
        from convnext_dense.inference.exporting.export_model import export_model

        return export_model(self, file, calibrate, ExportOptions(**options))

    def _read(self, images: Iterable[ImageInput], on_unreadable: Callable | None) -> Iterator[tuple[ImageInput, dict]]:
        """Yield images as the model is fed them. Next to a GPU, threads read those that follow."""
        for image, read in self._reading(images):
            try:
                packed = read()
            except UsageError as error:
                _report(on_unreadable, image, error)
                continue
            yield image, packed

    def _reading(self, images: Iterable[ImageInput]) -> Iterator[tuple[ImageInput, Callable[[], dict]]]:
        """Yield images, with what returns what the model is fed."""
        if self.device.type == 'cpu':
            yield from ((image, partial(self.pipeline, image)) for image in images)
            return
        waiting: deque = deque()
        following = iter(images)
        with ThreadPoolExecutor(READERS) as readers:
            while True:
                for image in islice(following, AHEAD + 1 - len(waiting)):
                    waiting.append((image, readers.submit(self.pipeline, image).result))
                if not waiting:
                    return
                yield waiting.popleft()

    def _parts(self, image: ImageInput, batch_size: int, parts: Iterator[dict]) -> Iterator[Result]:
        """Yield the results of parts of an image."""
        packed = ((image, self.pipeline.prepare(part, image.name)) for part in parts)
        for batch in batches(packed, batch_size):
            yield from self._step(batch)

    def _step(self, batch: list[tuple[ImageInput, dict]]) -> Iterator[Result]:
        images, packed = zip(*batch, strict=True)
        self.watch.source = ''
        with self._running(images):
            samples = self.module.test_step(pseudo_collate(list(packed)))
        if source := self.watch.look(samples):
            names = ', '.join(image.name for image in images)
            raise UsageError(
                f'model: {self.checkpoint}: its predictions for {names} are NaN ({source}); the weights or the image '
                'hold NaN, or values beyond the range of their type.'
            )
        for image, sample in zip(images, samples, strict=True):
            yield result_of(sample, image, self.classes, self.colors)

    @contextmanager
    def _scope(self) -> Generator[None]:
        """Look names up in the config's scope. mmengine's own context takes half a millisecond, for each image."""
        name = f'{SCOPE}.inference'
        instances = DefaultScope._instance_dict
        DefaultScope._instance_dict = OrderedDict({name: DefaultScope(name, self.cfg.default_scope)})
        try:
            yield
        finally:
            DefaultScope._instance_dict = instances

    @contextmanager
    def _running(self, images: Sequence[ImageInput]) -> Generator[None]:
        precision = torch.autocast(self.device.type, torch.float16) if self.half else nullcontext()
        try:
            with torch.inference_mode(), self._scope(), precision:
                yield
        except torch.OutOfMemoryError as error:
            raise RunError(
                f'the memory of {self.device} is full; give a smaller batch_size, or predict in tiles.'
            ) from error
        except (UsageError, RunError):
            raise
        except Exception as error:
            names = ', '.join(image.name for image in images)
            raise UsageError(f'model: it cannot predict on {names}: {message_of(error).rstrip(".")}.') from error


def _report(on_unreadable: Callable | None, image: ImageInput, error: UsageError) -> None:
    if on_unreadable is None:
        raise error
    on_unreadable(image, error)


def _is_image(inputs: Any) -> bool:  # noqa: ANN401 - any input
    return isinstance(inputs, str | Path) and ('://' in str(inputs) or os.path.isfile(os.path.expanduser(inputs)))
