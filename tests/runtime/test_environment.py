"""An exported model runs where there is neither PyTorch nor OpenMMLab, with the same results."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.exported_toys import PAD, RESIZE, SEGMENTER, noise, write_toy
from helpers.wheels import build_wheel

from convnext_dense.runtime import Model

# All that the package requires, and the runtime does not.
BLOCKED = [
    *('torch', 'torchvision', 'timm', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'pkg_resources', 'ftfy', 'regex', 'scipy'),
    *('matplotlib', 'PIL', 'shapely', 'pycocotools', 'filelock', 'huggingface_hub', 'safetensors', 'msgspec', 'rich'),
    *('shtab', 'tensorboard', 'onnx', 'litserve'),
]
BLOCK = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Blocker())
"""
PREDICT = """
import json, sys
from convnext_dense.errors import UsageError
from convnext_dense.runtime import Model
results = [result for file in sys.argv[2:] for result in Model(file).predict(sys.argv[1])]
try:
    results[0].plot()
except UsageError as error:
    sentence = str(error)
names = ('boxes', 'labels', 'scores', 'semantic')
found = [{name: getattr(r, name).tolist() for name in names if getattr(r, name) is not None} for r in results]
masks = [[mask.sum().item() for mask in r.masks or ()] for r in results]
print(json.dumps(dict(found=found, masks=masks, sentence=sentence, pixels=results[0].pixels().tolist())))
"""
MOST_MEGABYTES = 300


@pytest.fixture(scope='module')
def files(tmp_path_factory) -> list[Path]:
    """A folder of images, an exported detector, and a segmenter."""
    folder = tmp_path_factory.mktemp('toys')
    (folder / 'images').mkdir()
    for i in range(3):
        cv2.imwrite(str(folder / f'images/{i}.png'), noise(40 + 9 * i, 60, i))
    toys = [write_toy(folder / 'detector.onnx', steps=(RESIZE, PAD)), write_toy(folder / 'segmenter.onnx', SEGMENTER)]
    return [folder / 'images', *toys]


def check(printed: str, files: list[Path]) -> None:
    """Compare what the script found with what is found here."""
    here = [result for file in files[1:] for result in Model(file).predict(files[0])]
    there = json.loads(printed)
    for result, found, masks in zip(here, there['found'], there['masks'], strict=True):
        assert found
        for name, values in found.items():
            assert np.allclose(getattr(result, name), values, atol=1e-5)
        assert [mask.sum() for mask in result.masks or ()] == masks
    assert np.array_equal(here[0].pixels(), there['pixels'])
    assert 'pip install pillow matplotlib' in there['sentence']


def test_nothing_heavy_is_imported(files):
    command = [sys.executable, '-c', BLOCK + PREDICT, *map(str, files)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    check(result.stdout, files)


def megabytes(environment: Path) -> float:
    """What an environment's packages take of a disk, without those that install others."""
    (packages,) = environment.glob('lib/python*/site-packages')
    own = [path for path in packages.iterdir() if not path.name.startswith(('pip', 'setuptools', '_distutils_hack'))]
    return sum(file.lstat().st_blocks * 512 for path in own for file in (path, *path.rglob('*'))) / 2**20


@pytest.mark.full
@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_a_bare_environment_is_enough(files, tmp_path, runtime):
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    subprocess.run([sys.executable, '-m', 'venv', tmp_path / 'env'], check=True)
    python = tmp_path / 'env/bin/python'

    def install(*packages: object) -> None:
        subprocess.run(
            [python, '-m', 'pip', 'install', '-q', '--no-compile', *map(str, packages)], env=environment, check=True
        )

    install('numpy', 'opencv-python-headless', runtime)
    install('--no-deps', build_wheel(tmp_path))
    if runtime == 'onnxruntime':
        assert megabytes(tmp_path / 'env') <= MOST_MEGABYTES
    command = [python, '-c', PREDICT, *map(str, files)]
    result = subprocess.run(command, env=environment, cwd=files[0], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    check(result.stdout, files)
