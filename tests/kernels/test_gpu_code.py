"""What is known of the code for a GPU without one: that it compiles, what it takes, what is compiled anew."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('triton')
# In a process of its own: this one's kernels may be the interpreter's.
SCRIPT = Path(__file__).with_name('compile_for_gpu.py')
# Of a program, on the GPU since Ampere that has the least.
SHARED_MEMORY = 99 * 1024
KERNELS = {
    'convolve_kernel',
    'weight_gradient_kernel',
    'normalize_gradient_kernel',
    'hidden_kernel',
    'output_kernel',
    'hidden_gradient_kernel',
    'grn_gradient_kernel',
    'output_weight_gradient_kernel',
}


@pytest.fixture(scope='module')
def compiled(tmp_path_factory):
    """Return what the kernels' first candidates take in ConvNeXt-T's first and third stage, by autocast on Hopper."""
    folder = tmp_path_factory.mktemp('triton')
    environment = {'TRITON_INTERPRET': '0', 'TRITON_CACHE_DIR': str(folder)}
    out = folder / 'codes.json'
    run = subprocess.run(
        [sys.executable, '-W', 'ignore', SCRIPT, out, '90', '96', '384'],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(out.read_text())


def test_every_kernel_compiles(compiled):
    assert {code['kernel'] for code in compiled['codes']} == KERNELS


def test_no_value_that_belongs_into_a_register_lies_in_memory(compiled):
    assert {code['kernel']: code['stack'] for code in compiled['codes'] if code['stack']} == {}


def test_shared_memory_suffices_on_every_gpu_since_ampere(compiled):
    assert max(code['shared'] for code in compiled['codes']) <= SHARED_MEMORY


def test_no_image_size_compiles_anew(compiled):
    assert compiled['anew'] == []
