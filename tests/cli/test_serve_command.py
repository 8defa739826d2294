"""`convnext-dense serve`: what it passes to the server, its mistakes, and a real start."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from unittest import mock
from urllib.error import URLError
from urllib.request import Request, urlopen

import cv2
import onnx
import pytest
from helpers.commands import run_command
from helpers.exported_toys import noise, write_toy

from convnext_dense.image_limit import PIXEL_LIMIT_VARIABLE
from convnext_dense.runtime.description import FEATURES, KEY, Description


@pytest.fixture
def toy(tmp_path):
    return write_toy(tmp_path / 'toy.onnx')


class TestServe:
    def test_its_options_reach_the_server(self, toy, tmp_path):
        seen = []
        with mock.patch('convnext_dense.runtime.serving.make_server') as make:
            make.return_value.run.side_effect = lambda *a, **k: seen.append(os.environ[PIXEL_LIMIT_VARIABLE])
            port = free_port()
            options = ['--port', port, '--batch', 4, '--max-megabytes', 5, '--max-megapixels', 7, '--timeout', 9]
            result = run_command(tmp_path, 'serve', toy, '--host', '0.0.0.0', *options)
        assert result.status == 0, result.err
        assert make.mock_calls == [
            mock.call(str(toy), 4, 5, 9),
            mock.call().run('0.0.0.0', port, generate_client_file=False),
        ]
        assert seen == ['7000000']

    def test_a_backbone_alone_is_refused(self, toy, tmp_path):
        model = onnx.load(toy)
        onnx.helper.set_model_props(model, {KEY: Description(FEATURES, 'toy', [], []).to_json()})
        onnx.save(model, toy)
        result = run_command(tmp_path, 'serve', toy)
        assert (result.status, result.error) == (
            2,
            f'error: file: {toy} is a backbone alone, which predicts nothing.',
        )

    @pytest.mark.parametrize(
        ('arguments', 'sentence'),
        [
            (['.'], 'model: . is a folder; give a file that `convnext-dense export` wrote (.onnx, or .xml).'),
            (['nowhere.onnx'], 'there is no file nowhere.onnx.'),
            *(
                (['toy.onnx', '--port', port], f"--port: it must be a whole number from 1024 to 65535; got '{port}'")
                for port in (0, 80, 70000, 10**10, 'x')
            ),
            (['toy.onnx', '--timeout', 0], 'it must be a whole number of at least 1'),
            (['toy.onnx', '--host', 'example.org'], 'invalid choice'),
        ],
    )
    def test_a_mistake_is_a_sentence(self, toy, tmp_path, arguments, sentence):
        result = run_command(tmp_path, 'serve', *arguments)
        assert result.status == 2
        assert sentence in result.error

    @pytest.mark.parametrize('host', ['127.0.0.1', '0.0.0.0'])
    def test_a_port_in_use_is_refused_before_anything_starts(self, tmp_path, host):
        with socket.create_server(('127.0.0.1', 0)) as other:
            port = other.getsockname()[1]
            # A file that is not there would be said later.
            result = run_command(tmp_path, 'serve', 'nowhere.onnx', '--host', host, '--port', port)
        assert (result.status, result.err) == (2, f'error: --port: {port} is in use; give another --port.\n')

    def test_without_litserve_it_says_what_to_install(self, toy, tmp_path):
        with mock.patch.dict(sys.modules, {'litserve': None}):
            sys.modules.pop('convnext_dense.runtime.serving', None)
            result = run_command(tmp_path, 'serve', toy)
        assert result.status == 2
        assert 'litserve is not installed; pip install litserve python-multipart.' in result.error


def test_a_command_that_takes_pytorch_says_so_without(tmp_path):
    missing = ModuleNotFoundError("No module named 'torch'", name='torch')
    with (
        mock.patch('convnext_dense.apis.describe_environment', side_effect=missing),
        mock.patch('convnext_dense.cli.main.find_spec', return_value=None),
    ):
        result = run_command(tmp_path, 'env')
    assert result.status == 2
    assert result.error == 'error: env needs torch, which is not installed; pip install convnext_dense.'


@pytest.mark.e2e
def test_it_serves_until_it_is_terminated(toy, tmp_path):
    port = free_port()
    command = [sys.executable, '-W', 'ignore', '-m', 'convnext_dense', 'serve', str(toy), '--port', str(port)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        address, deadline = f'http://127.0.0.1:{port}', time.monotonic() + 120
        while not is_healthy(address) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        body = cv2.imencode('.png', noise(40, 60, 3))[1].tobytes()
        with urlopen(Request(f'{address}/predict?score=0', body, method='POST'), timeout=60) as response:
            assert json.load(response)['names'] == ['blue', 'green']
    finally:
        process.send_signal(signal.SIGTERM)
        shown, _ = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    assert 'Traceback' not in shown
    assert [path.name for path in tmp_path.iterdir()] == ['toy.onnx']


def free_port() -> int:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def is_healthy(address: str) -> bool:
    try:
        return urlopen(f'{address}/health', timeout=5).status == 200
    except (URLError, ConnectionError):
        return False
