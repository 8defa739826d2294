"""The server answers with what the model predicts, and refuses in a sentence what it cannot take."""

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from helpers.exported_toys import RESIZE, SEGMENTER, noise, write_toy
from litserve.utils import wrap_litserve_start
from pycocotools import mask as coco_mask

from convnext_dense.errors import UsageError
from convnext_dense.image_limit import PIXEL_LIMIT_VARIABLE
from convnext_dense.runtime import Model
from convnext_dense.runtime.serving import MEGABYTE, PredictAPI, Upload, make_server

# A worker that does not start is waited for without end.
pytestmark = pytest.mark.timeout(120)

GUIDE = Path(__file__).parents[2] / 'docs/guides/serve.md'
IMAGE = noise(40, 60, 3)
MAX_PIXELS = 10_000


def png(image: np.ndarray) -> bytes:
    return cv2.imencode('.png', image)[1].tobytes()


def loaded(file, batch: int = 1) -> PredictAPI:
    """What a server's worker calls, in the tests' own process."""
    api = PredictAPI(str(file), batch)
    api.setup('cpu')
    return api


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    return write_toy(tmp_path_factory.mktemp('toy') / 'toy.onnx', steps=(RESIZE,))


@pytest.fixture(scope='module')
def client(toy):
    """A client of a server whose worker takes batches of four, and images of few pixels."""
    server = make_server(str(toy), batch=4, max_megabytes=1)
    with (
        mock.patch.dict('os.environ', {PIXEL_LIMIT_VARIABLE: str(MAX_PIXELS)}),
        wrap_litserve_start(server) as started,
        TestClient(started.app) as client,
    ):
        yield client


class TestAnswers:
    def test_body_and_form_have_the_models_result(self, client, toy):
        expected = Model(toy).predict(IMAGE, 'bgr').at_least(0.3)
        assert 1 <= len(expected) <= 2
        for sent in (dict(content=png(IMAGE)), dict(files=dict(photo=('a.png', png(IMAGE))))):
            response = client.post('/predict', **sent)
            assert response.status_code == 200
            found = response.json()
            assert (found['height'], found['width']) == IMAGE.shape[:2]
            assert np.array_equal(np.float32(found['boxes']), expected.boxes)
            assert np.array_equal(np.float32(found['scores']), expected.scores)
            assert found['names'] == expected.names
            assert found['labels'] == expected.labels.tolist()
            for rle, mask in zip(found['masks'], expected.masks, strict=True):
                assert np.array_equal(coco_mask.decode(rle).astype(bool), mask)

    def test_the_least_score_is_asked_for(self, client):
        counts = [len(client.post(f'/predict?score={s}', content=png(IMAGE)).json()['scores']) for s in (0, 1)]
        assert counts == [2, 0]

    @pytest.mark.parametrize(
        ('query', 'sentence'),
        [
            *(
                (f'score={text}', f'score must be a number from 0 to 1, not {text!r}.')
                for text in ('abc', '2', '-1', 'nan', 'inf', '')
            ),
            ('scoer=0.5', "The address has 'scoer', which is not read; it may have score alone."),
            ('score=0.5&a', "The address has 'a', which is not read; it may have score alone."),
            ('score=0.5&score=0.6', 'The address has score more than once.'),
            (f'{"a" * 1000}=1', f"The address has '{'a' * 40}', which is not read; it may have score alone."),
        ],
    )
    def test_a_wrong_address_is_refused_in_a_sentence(self, client, query, sentence):
        response = client.post(f'/predict?{query}', content=png(IMAGE))
        assert (response.status_code, response.json()) == (400, dict(detail=sentence))

    def test_a_form_field_that_is_not_read_is_refused(self, client):
        sent = dict(files=dict(photo=('a.png', png(IMAGE))), data=dict(score='0.9'))
        response = client.post('/predict', **sent)
        sentence = "The form has the field 'score', which is not read; a form has one file, and the address has score."
        assert (response.status_code, response.json()) == (400, dict(detail=sentence))

    def test_requests_at_a_time_get_their_own_answers(self, client):
        sizes = [(40, 60), (60, 40), (40, 60), (20, 20)] * 4
        images = [noise(*size, seed) for seed, size in enumerate(sizes)]
        bodies = [b'broken' if i % 5 == 4 else png(image) for i, image in enumerate(images)]
        with ThreadPoolExecutor(8) as pool:
            responses = list(pool.map(lambda body: client.post('/predict?score=0', content=body), bodies))
        for i, (response, image) in enumerate(zip(responses, images, strict=True)):
            if i % 5 == 4:
                assert response.status_code == 400
            else:
                found = response.json()
                assert [found['height'], found['width']] == list(image.shape[:2])
                assert np.allclose(found['scores'], image[..., :2].mean((0, 1)) / 255, atol=0.02)

    def test_health(self, client):
        assert client.get('/health').status_code == 200


class TestRefusals:
    @pytest.mark.parametrize(
        ('sent', 'status', 'sentence'),
        [
            (dict(content=b'hello'), 400, 'The upload is no image that OpenCV reads.'),
            (dict(content=png(IMAGE)[:90]), 400, 'The upload is no image that OpenCV reads.'),
            (dict(content=b''), 400, 'The request has no image'),
            (dict(data=dict(a='b')), 400, 'The upload is no image that OpenCV reads.'),
            (dict(files=dict(a=b'')), 400, 'The request has no image'),
            (dict(files=dict(a=b'x', b=b'y')), 400, 'Too many files'),
            (dict(content=b'x', headers={'content-type': 'multipart/form-data'}), 400, 'Missing boundary'),
            (
                dict(content=png(np.zeros((101, 100, 3), np.uint8))),
                400,
                'The upload has more than 10,000 pixels, the limit that --max-megapixels sets.',
            ),
            (dict(content=bytes(MEGABYTE + 1)), 413, 'The request has more than 1 megabytes.'),
            (dict(content=(bytes(1000) for _ in range(1001))), 413, 'The request has more than 1 megabytes.'),
            (dict(files=dict(a=bytes(MEGABYTE))), 413, 'The request has more than 1 megabytes.'),
        ],
        ids=['text', 'cut', 'empty', 'form', 'no-file', 'files', 'multipart', 'pixels', 'bytes', 'chunks', 'file'],
    )
    def test_are_one_sentence(self, client, sent, status, sentence):
        response = client.post('/predict', **sent)
        assert (response.status_code, response.json().keys()) == (status, {'detail'})
        assert response.json()['detail'].startswith(sentence)
        assert 'Traceback' not in response.text

    def test_an_image_that_the_graph_fails_on_fails_alone(self, toy):
        api = loaded(toy, batch=2)
        run = api.model.session.run

        def fail(inputs):
            if (inputs['images'] == 7).all((1, 2, 3)).any():
                raise RuntimeError('out of memory')
            return run(inputs)

        uploads = [Upload(png(np.full((40, 60, 3), value, np.uint8)), 0.3) for value in (200, 7)]
        with mock.patch.object(api.model.session, 'run', fail):
            found, failed = api.predict(uploads)
        assert len(found) == 2
        assert isinstance(failed, UsageError)
        response = api.encode_response(failed)
        assert response.status_code == 400
        assert json.loads(response.body)['detail'] == 'The model fails on this image of 60x40 pixels.'


def test_the_timeout_is_that_of_the_queue(toy):
    waits = [make_server(str(toy), **given).lit_api.request_timeout for given in ({}, dict(timeout=9))]
    assert waits == [120, 9]


class TestSegmenter:
    @pytest.mark.parametrize('batch', [1, 2])
    def test_answers_with_the_map_as_a_png(self, tmp_path, batch):
        api = loaded(write_toy(tmp_path / 'toy.onnx', SEGMENTER, steps=(RESIZE,)), batch)
        upload = Upload(png(IMAGE), 0.3)
        output = api.predict(upload) if batch == 1 else api.predict([upload, upload])[1]
        found = json.loads(api.encode_response(output).body)
        content = np.frombuffer(base64.b64decode(found['map']), np.uint8)
        expected = api.model.predict(IMAGE, 'bgr').semantic
        assert np.array_equal(cv2.imdecode(content, cv2.IMREAD_UNCHANGED), expected)
        assert found['classes'] == ['blue', 'green']
        assert 0 < expected.sum() < expected.size


class TestTheGuidesClient:
    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        """Runs the guide's client next to a photo, with `post` in place of the network, and returns its variables."""
        (code,) = re.findall(r'```python\n(import base64.*?)```', GUIDE.read_text(), re.DOTALL)
        (tmp_path / 'photo.jpg').write_bytes(png(IMAGE))
        monkeypatch.chdir(tmp_path)

        def run(post):
            variables = {}
            with mock.patch('requests.post', post):
                exec(code, variables)
            return variables

        return run

    def test_reads_boxes_and_masks(self, run, client, toy, tmp_path, capsys):
        bright = np.full((40, 60, 3), 200, np.uint8)
        (tmp_path / 'photo.jpg').write_bytes(png(bright))
        found = run(client.post)
        expected = Model(toy).predict(bright, 'bgr').at_least(0.5)
        assert len(expected) == 2 and np.array_equal(found['masks'], expected.masks)
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == expected.names

    def test_reads_maps(self, run, tmp_path):
        api = loaded(write_toy(tmp_path / 'toy.onnx', SEGMENTER, steps=(RESIZE,)))
        response = api.encode_response(api.predict(Upload(png(IMAGE), 0.3)))
        found = run(lambda *args, **kwargs: mock.Mock(status_code=200, json=lambda: json.loads(response.body)))
        assert np.array_equal(found['labels'], api.model.predict(IMAGE, 'bgr').semantic)

    def test_ends_with_the_servers_sentence(self, run, client, tmp_path):
        (tmp_path / 'photo.jpg').write_text('no image')
        with pytest.raises(SystemExit, match='The upload is no image'):
            run(client.post)
