"""The kernels are timed one by one, and in whole blocks against PyTorch."""

import io
import json
from contextlib import redirect_stdout
from dataclasses import replace

import pytest
import torch

from benchmarks import kernels
from benchmarks.backbone import BLOCK_VARIANTS
from benchmarks.cases import Case, parse_cases
from benchmarks.kernels import NO_MEANING, Kernel, moved_bytes, stage_inputs
from benchmarks.passes import format_passes
from convnext_dense.backbones import ConvNeXt

RATES = dict(matmul=1e12, bandwidth=1e10)


@pytest.fixture(scope='module')
def interpreted(tmp_path_factory):
    """What the benchmark prints and saves for V2 in bfloat16, in Triton's interpreter. Nothing is compiled."""
    file = tmp_path_factory.mktemp('kernels') / 'figures.json'
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setenv('TRITON_INTERPRET', '1')
        patch.setattr(torch, 'compile', lambda model, dynamic: model)
        patch.setattr(kernels, 'measure_rates', lambda dtype, device: RATES)
        patch.setattr(kernels, 'stage_inputs', lambda case: [torch.randn(1, 4, 4, 8).permute(0, 3, 1, 2)])
        patch.setattr(kernels, 'parse_cases', lambda *args: [replace(case, warm_up=0) for case in parse_cases(*args)])
        options = ['--shapes', '1x3x32x32', '--v2', '--dtype', 'bfloat16', '--rounds', '1', '--out', str(file)]
        kernels.main(['--archs', 'atto', *options])
    (figures,) = json.loads(file.read_text())['cases']
    return printed.getvalue(), figures


@pytest.mark.kernels
class TestInTheInterpreter:
    def test_says_that_the_times_mean_nothing(self, interpreted):
        assert interpreted[0].startswith(NO_MEANING)

    def test_the_bytes_are_those_of_inputs_and_outputs(self, interpreted):
        pixels, channels, hidden = 16, 8, 32
        bf16_map, float_map, bf16_hidden = 2 * pixels * channels, 4 * pixels * channels, 2 * pixels * hidden
        taps, per_channel, per_hidden, rstd = 4 * 49 * channels, 4 * channels, 4 * hidden, 4 * pixels
        weight = 2 * channels * hidden
        gradients = 2 * bf16_map + rstd + float_map + taps + (float_map + taps + per_channel)
        assert {kernel['kernel']: kernel['bytes'] for kernel in interpreted[1]['kernels']} == {
            'depthwise conv + norm': float_map + taps + per_channel + (bf16_map + rstd),
            'its gradients, the norm fused': gradients,
            'its gradients, the norm before': gradients,
            'hidden layer': bf16_map + weight + per_hidden + (2 * bf16_hidden + per_hidden),
            'output layer': bf16_hidden + per_hidden + weight + per_channel + float_map + (float_map),
            "hidden layer's gradient": float_map + bf16_hidden + weight + 3 * per_hidden
            + (bf16_hidden + 2 * per_hidden),
            "output layer's weight gradient": float_map + bf16_hidden + per_hidden + (2 * weight + per_channel),
        }  # fmt: skip

    def test_the_fractions_are_of_the_measured_rates(self, interpreted):
        for kernel in interpreted[1]['kernels']:
            assert kernel['of_bandwidth'] == pytest.approx(kernel['bytes'] / kernel['median'] / RATES['bandwidth'])
            if kernel['kernel'] in ('hidden layer', 'output layer'):
                assert kernel['flops'] == 2 * 16 * 8 * 32
                assert kernel['of_matmul'] == pytest.approx(kernel['flop_rate'] / RATES['matmul'])
            if kernel['kernel'].startswith('its gradients'):
                assert kernel['flops'] is kernel['of_matmul'] is None

    def test_a_block_runs_in_each_variant(self, interpreted):
        printed, figures = interpreted
        assert [figures['pass'] for figures in figures['passes']] == ['forward', 'forward + backward']
        for passed in figures['passes']:
            medians = {variant['variant']: variant['median'] for variant in passed['variants']}
            assert list(medians) == list(BLOCK_VARIANTS)
            for name, ratio in passed['ratios'].items():
                assert ratio['peer'] == BLOCK_VARIANTS[name].peer
                assert ratio['ratio'] == pytest.approx(medians[ratio['peer']] / medians[name])
        assert format_passes(figures['passes'], 'block') in printed


def test_a_missing_output_moves_nothing():
    kernel = Kernel('', lambda x, _: (x[0], None), (torch.zeros(2, 10), None))
    assert moved_bytes(kernel) == 4 * (20 + 10)


@pytest.mark.parametrize('v2', [False, True])
def test_stage_inputs_are_what_the_blocks_get(v2):
    with torch.autocast('cpu', torch.bfloat16):
        given = []
        model = ConvNeXt('atto', use_grn=v2, layer_scale_init_value=0.0 if v2 else 1e-6)
        for stage in model.stages:
            stage[-1].register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        model(torch.rand(2, 3, 64, 96))
    maps = list(stage_inputs(Case('atto', (2, 3, 64, 96), torch.bfloat16, v2=v2)))
    assert [x.shape for x in maps] == [x.shape for x in given]
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in maps)
    # The stem's norm returns float32 on a GPU, and bfloat16 on a CPU.
    assert [x.dtype for x in maps[1:]] == [x.dtype for x in given[1:]]
    assert maps[0].dtype == torch.float32


def test_without_a_gpu_it_is_one_line(call, monkeypatch):
    monkeypatch.delenv('TRITON_INTERPRET', raising=False)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    result = call(kernels.main)
    assert (result.status, result.err.count('\n')) == (2, 1)
    assert 'they need an NVIDIA GPU' in result.err
