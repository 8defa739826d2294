"""The code that Triton compiles for a GPU, which need not be present: it fits, and serves every image size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('triton')
# In a process of its own, since this process may run the kernels in the interpreter.
SCRIPT = Path(__file__).with_name('compile_for_gpu.py')
# Bytes that a program may use on every GPU since Ampere.
SHARED_MEMORY = 99 * 1024
KERNELS = {
    'convolve_kernel',
    'weight_gradient_kernel',
    'norm_backward_kernel',
    'hidden_kernel',
    'output_kernel',
    'hidden_gradient_kernel',
    'grn_backward_kernel',
    'output_weight_gradient_kernel',
}


@pytest.fixture(
    scope='module',
    params=[
        pytest.param(['96'], marks=pytest.mark.kernels, id='narrow'),
        # Blocks of channels, and the widest stages of ConvNeXt-L, whose LayerNorm is a kernel of its own.
        pytest.param(['384', '1536'], marks=pytest.mark.full, id='wide'),
    ],
)
def compiled(request, tmp_path_factory):
    """Compile the kernels' first candidates for Hopper, as bfloat16 autocast runs them."""
    folder = tmp_path_factory.mktemp('triton')
    out = folder / 'codes.json'
    run = subprocess.run(
        [sys.executable, '-W', 'ignore', SCRIPT, out, '90', *request.param],
        env={**os.environ, 'TRITON_INTERPRET': '0', 'TRITON_CACHE_DIR': str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return dict(json.loads(out.read_text()), channels=request.param)


class TestGpuCode:
    def test_exists_for_every_kernel(self, compiled):
        wide = {'normalize_kernel'} if '1536' in compiled['channels'] else set()
        assert {code['kernel'] for code in compiled['codes']} == KERNELS | wide

    def test_spills_no_registers(self, compiled):
        assert {code['kernel']: code['stack'] for code in compiled['codes'] if code['stack']} == {}

    def test_fits_the_shared_memory_of_every_gpu_since_ampere(self, compiled):
        assert max(code['shared'] for code in compiled['codes']) <= SHARED_MEMORY

    def test_serves_every_image_size(self, compiled):
        assert compiled['recompiled'] == []
