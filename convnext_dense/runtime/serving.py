"""A server that predicts on the images that it is sent, by LitServe."""

import base64
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import cv2
import litserve
import numpy as np
from fastapi import Depends, HTTPException, Request, Response
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from convnext_dense.errors import UsageError
from convnext_dense.results.masks import cropped, encode
from convnext_dense.results.result import SCORE, Result
from convnext_dense.runtime.model import Model
from convnext_dense.runtime.preparing import decode_image

MEGABYTE = 10**6
# How long a batch waits for another image. One that comes alone is hardly later for it.
BATCH_SECONDS = 0.01
# How many characters of a wrong name or value an answer repeats.
SHOWN = 40


@dataclass(frozen=True)
class Upload:
    """What a request asks for.

    Args:
        content: The bytes of an image file.
        score: The least score of an object that is returned.
    """

    content: bytes
    score: float


async def read_upload(request: Request) -> Upload:
    """Return what a request asks for: its body is the image, or a form that has it as a file.

    Args:
        request: The request. Its address may have the least score.

    Raises:
        HTTPException: If it has no image, or what is not read.
    """
    score = _read_score(request.query_params.multi_items())
    if request.headers.get('content-type', '').startswith('multipart/form-data'):
        async with request.form(max_files=1) as form:
            fields = [name for name, part in form.multi_items() if not isinstance(part, UploadFile)]
            if fields:
                raise HTTPException(
                    400,
                    f'The form has the field {fields[0][:SHOWN]!r}, which is not read; a form has one file, and the '
                    'address has score.',
                )
            files = [part for part in form.values() if isinstance(part, UploadFile)]
            content = await files[0].read() if files else b''
    else:
        content = await request.body()
    if not content:
        raise HTTPException(400, 'The request has no image; send its bytes as the body, or as a file of a form.')
    return Upload(content, score)


class UploadLimit:
    """Refuses requests that are too large, before they are in memory.

    Args:
        app: What answers the others.
        max_megabytes: The size of the largest that are answered.
    """

    def __init__(self, app: ASGIApp, max_megabytes: int) -> None:
        self.app, self.max_bytes = app, max_megabytes * MEGABYTE
        self.sentence = f'The request has more than {max_megabytes} megabytes.'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return
        declared = dict(scope['headers']).get(b'content-length', b'0')
        if declared.isdigit() and int(declared) > self.max_bytes:
            await JSONResponse(dict(detail=self.sentence), 413)(scope, receive, send)
            return
        received = 0

        async def count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get('body', b''))
            if received > self.max_bytes:
                raise HTTPException(413, self.sentence)
            return message

        await self.app(scope, count, send)


class PredictAPI(litserve.LitAPI):
    """Predicts on images that were sent, those of one size in one run of the graph.

    Args:
        file: The exported model.
        batch: How many images at a time.
    """

    def __init__(self, file: str, batch: int = 1) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=BATCH_SECONDS if batch > 1 else 0)
        self.file = file

    def setup(self, device: str) -> None:
        """Load the model, in the process that runs it."""
        self.model = Model(self.file)

    def decode_request(  # pyrefly: ignore[bad-override]
        self, request: Annotated[Upload, Depends(read_upload)]
    ) -> Upload:
        """Return the upload as it is: a broken image must not fail the batch that it is in."""
        return request

    def predict(  # pyrefly: ignore[bad-override]
        self, x: Upload | list[Upload]
    ) -> Any:  # noqa: ANN401 - see Returns
        """Predict on an upload, or on several.

        Args:
            x: The upload; a list of them if images are batched.

        Returns:
            A result, or the error that stands in its place, or a list of these.
        """
        if not isinstance(x, list):
            return self._predict([x])[0]
        return self._predict(x)

    def encode_response(  # pyrefly: ignore[bad-override]
        self, output: Result | UsageError
    ) -> Response:
        """Return the answer to a request.

        Args:
            output: The result or the error.
        """
        if isinstance(output, UsageError):
            return JSONResponse(dict(detail=str(output).removeprefix('inputs: ')), 400)
        return Response(json.dumps(answer(output)), media_type='application/json')

    def _predict(self, uploads: list[Upload]) -> list[Result | UsageError]:
        images = [_decoded(upload) for upload in uploads]
        pixels = [image for image in images if isinstance(image, np.ndarray)]
        try:
            results = iter(self.model.predict(pixels, 'bgr', max(len(pixels), 1)))
        except Exception:
            if len(uploads) > 1:
                # Only the image that the graph fails on is not answered.
                return [self._predict([upload])[0] for upload in uploads]
            logging.getLogger('litserve').exception('The model failed.')
            height, width = pixels[0].shape[:2]
            return [UsageError(f'The model fails on this image of {width}x{height} pixels.')]
        return [
            next(results).at_least(upload.score) if isinstance(image, np.ndarray) else image
            for image, upload in zip(images, uploads, strict=True)
        ]


def answer(result: Result) -> dict[str, Any]:
    """Return a result as JSON holds it.

    Args:
        result: The result.

    Returns:
        The image's 'height' and 'width'; of each object its box in 'boxes' (left, top, right and bottom in pixels), and
        in 'labels', 'names', 'scores', and, as COCO's run-length encoding, 'masks'; or the 'classes', and the 'map', a
        PNG file in Base64 whose pixels are labels.

    Example:
        >>> from convnext_dense.results.image_input import ImageInput
        >>> boxes, labels, scores = np.array([[1, 2, 3, 4.5]]), np.array([0]), np.array([0.75], np.float32)
        >>> found = answer(Result(ImageInput('a.png'), (8, 9), ['cell'], [(255, 0, 0)], boxes, labels, scores))
        >>> found['boxes'], found['names'], found['scores']
        ([[1.0, 2.0, 3.0, 4.5]], ['cell'], [0.75])
    """
    height, width = result.size
    found: dict[str, Any] = dict(height=height, width=width)
    if result.semantic is not None:
        depth = np.uint8 if len(result.classes) <= 256 else np.uint16
        file = cv2.imencode('.png', result.semantic.astype(depth))[1].tobytes()
        return found | dict(classes=list(result.classes), map=base64.b64encode(file).decode())
    if result.boxes is not None and result.labels is not None and result.scores is not None:
        boxes, labels, scores = map(_shortest, result.boxes), result.labels.tolist(), _shortest(result.scores)
        found |= dict(boxes=list(boxes), labels=labels, names=result.names, scores=scores)
    if result.masks is not None:
        found['masks'] = [encode(cropped(result.masks, i), result.size) for i in range(len(result))]
    return found


def make_server(file: str, batch: int = 1, max_megabytes: int = 20, timeout: int = 120) -> litserve.LitServer:
    """Return a server that answers ``POST /predict`` and ``GET /health``.

    Args:
        file: The exported model.
        batch: How many images are predicted on at a time.
        max_megabytes: The size of the largest request that is answered.
        timeout: How many seconds a request waits for its turn; it is answered with 504 after more.
    """
    return litserve.LitServer(
        PredictAPI(file, batch),
        # The runtime chooses where it runs.
        accelerator='cpu',
        timeout=timeout,
        middlewares=[(UploadLimit, dict(max_megabytes=max_megabytes))],
        # Its page for browsers is fetched from another host.
        disable_openapi_url=True,
    )


def _read_score(query: list[tuple[str, str]]) -> float:
    """Return the least score that an address has."""
    unknown = [name for name, _ in query if name != 'score']
    if unknown:
        raise HTTPException(400, f'The address has {unknown[0][:SHOWN]!r}, which is not read; it may have score alone.')
    if len(query) > 1:
        raise HTTPException(400, 'The address has score more than once.')
    for _, text in query:
        with suppress(ValueError):
            if 0 <= float(text) <= 1:
                return float(text)
        raise HTTPException(400, f'score must be a number from 0 to 1, not {text[:SHOWN]!r}.')
    return SCORE


def _decoded(upload: Upload) -> np.ndarray | UsageError:
    try:
        return decode_image(np.frombuffer(upload.content, np.uint8), 'The upload', '--max-megapixels')
    except UsageError as error:
        return error


def _shortest(values: np.ndarray) -> list[float]:
    """Return numbers with the fewest digits that are these in their own precision."""
    return [float(str(value)) for value in values]
