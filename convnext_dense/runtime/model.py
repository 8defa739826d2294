"""An exported model that predicts on new images."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from convnext_dense.errors import UsageError
from convnext_dense.results.image_input import ImageInput, images_in
from convnext_dense.results.result import Result
from convnext_dense.runtime.description import FEATURES, SEGMENTATION
from convnext_dense.runtime.outputs import detections, label_map
from convnext_dense.runtime.preparing import Prepared, feed, read_image
from convnext_dense.runtime.sessions import Session, open_session


class Model:
    """A model that `convnext-dense export` wrote.

    It takes numpy, OpenCV, and ONNX Runtime or OpenVINO.

    Args:
        file: An ``.onnx`` file, an ``.xml`` file of OpenVINO, or a session.
        runtime: 'onnxruntime' or 'openvino'. Defaults to the one that is installed.
        threads: How many threads it uses; None for as many as there are cores.

    Raises:
        UsageError: If the file cannot be run.

    Example:
        >>> model = Model('my_run.onnx')  # doctest: +SKIP
        >>> model.predict('photo.jpg').at_least(0.3).names  # doctest: +SKIP
    """

    def __init__(self, file: str | Path | Session, runtime: str | None = None, threads: int | None = None) -> None:
        self.session = open_session(str(file), runtime, threads) if isinstance(file, str | Path) else file
        self.description = self.session.description
        self.classes = self.description.classes
        self.colors = [tuple(color) for color in self.description.colors]

    def predict(self, inputs: Any, channels: str = 'rgb', batch_size: int = 1) -> Any:  # noqa: ANN401 - see Args
        """Predict on images. Objects of all scores are returned; `Result.at_least` chooses.

        Args:
            inputs: A path, a folder, an array of 8 bits with shape (height, width, 3), a PIL image, or several of
                these.
            channels: The order of an array's channels, 'rgb' or 'bgr'.
            batch_size: How many images are predicted on at a time. Only those that are fed in one size share a batch.

        Returns:
            The `Result` of an image, or a list of them if `inputs` is a folder or several images.

        Raises:
            UsageError: If an image cannot be read, or the model is a backbone alone.
        """
        is_folder = isinstance(inputs, str | Path) and os.path.isdir(inputs)
        is_many = is_folder or isinstance(inputs, list | tuple | Iterator)
        results = list(self.stream(inputs if is_many else [inputs], channels, batch_size))
        return results if is_many else results[0]

    def stream(self, inputs: Any, channels: str = 'rgb', batch_size: int = 1) -> Iterator[Result]:  # noqa: ANN401
        """Yield the result of each image as soon as it is there.

        Args:
            inputs: As in `predict`.
            channels: As in `predict`.
            batch_size: As in `predict`.

        Raises:
            UsageError: If an image cannot be read.
        """
        if self.description.task == FEATURES:
            raise UsageError('model: it is a backbone alone, which predicts nothing.')
        if batch_size < 1:
            raise UsageError(f'batch_size: it must be at least 1; got {batch_size}.')
        images = read_inputs(inputs, channels)
        while batch := list(islice(images, batch_size)):
            yield from self._batch(batch)

    def _batch(self, images: list[ImageInput]) -> list[Result]:
        """Return the results of images, in as few runs of the graph as their sizes allow."""
        results, fed, groups = [], [], defaultdict(list)
        for i, image in enumerate(images):
            pixels = read_image(image.path or image.name) if image.pixels is None else image.pixels
            results.append(Result(image, pixels.shape[:2], self.classes, self.colors))
            inputs, prepared = feed(pixels, self.description)
            fed.append((inputs, prepared))
            groups[(inputs['images'].shape, *inputs.get('size', ()))].append(i)
        for group in groups.values():
            count = self.description.batch or len(group)
            for start in range(0, len(group), count):
                chosen = group[start : start + count]
                # A graph for a number of images is fed so many: the last one several times.
                filled = [fed[i][0]['images'] for i in chosen] + [fed[chosen[-1]][0]['images']] * (count - len(chosen))
                outputs = self.session.run({**fed[chosen[0]][0], 'images': np.concatenate(filled)})
                for place, i in enumerate(chosen):
                    own = {name: values[place : place + 1] for name, values in outputs.items()}
                    results[i] = self._found(results[i], own, fed[i][1])
        return results

    def _found(self, result: Result, outputs: dict[str, np.ndarray], prepared: Prepared) -> Result:
        if self.description.task == SEGMENTATION:
            return label_map(result, outputs, self.description)
        return detections(result, outputs, prepared, self.description)


def read_inputs(inputs: Any, channels: str) -> Iterator[ImageInput]:  # noqa: ANN401 - see Args
    """Yield images.

    Args:
        inputs: A folder, or several paths, arrays or PIL images.
        channels: The order of an array's channels.

    Raises:
        UsageError: If one is none of these.
    """
    if channels not in ('rgb', 'bgr'):
        raise UsageError(f"channels must be 'rgb' or 'bgr', not {channels!r}.")
    if isinstance(inputs, str | Path):
        inputs = images_in(inputs)
    if not isinstance(inputs, Iterable):
        raise UsageError(f'inputs: {type(inputs).__name__} is no path, array or image, nor several of them.')
    for number, part in enumerate(inputs):
        if isinstance(part, str | Path):
            yield ImageInput(str(part), str(part))
            continue
        pixels = np.asarray(part.convert('RGB') if hasattr(part, 'convert') else part)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise UsageError(
                f'inputs: an array must be an image of 8 bits with shape (height, width, 3); got {pixels.dtype} with '
                f'shape {pixels.shape}.'
            )
        yield ImageInput(str(number), pixels=pixels[..., ::-1] if channels == 'rgb' else pixels)
