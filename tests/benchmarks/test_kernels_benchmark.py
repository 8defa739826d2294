"""The kernels are timed, compared with PyTorch, and what was measured is recorded."""

import json
import os
import runpy
import sys
from pathlib import Path

import pytest
import torch
from benchmarks.block import FORMS, _check_same, format_block
from benchmarks.kernel_measurements import KEYS, check_writable, measurements_of, record

from benchmarks.cases import check_rounds, parse_shape
from benchmarks.kernels import Kernel, format_kernels, moved_bytes, stage_inputs
from convnext_dense.backbones import ConvNeXt
from convnext_dense.errors import UsageError
from convnext_dense.kernels import choice

CPU = torch.device('cpu')
TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'benchmark_kernels.py'

# The tool on one small map, with nothing compiled or timed that need not be.
RUN_SMALL = """
import functools, runpy, sys
import torch
from benchmarks import block, kernels, limits

torch.compile = functools.partial(torch.compile, backend='eager')
limits.MATMUL_SIZE['cpu'], limits.COPY_BYTES['cpu'] = 64, 2**16
kernels.benchmark_kernels = functools.partial(kernels.benchmark_kernels, warm_up=0)
block.benchmark_block = functools.partial(block.benchmark_block, warm_up=0)
kernels.stage_inputs = lambda *_: [torch.randn(1, 4, 4, 8).permute(0, 3, 1, 2)]
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


@pytest.fixture(scope='module')
def interpreted(tmp_path_factory, run_tool):
    """What the tool prints and saves of ConvNeXt V2 in bfloat16, in Triton's interpreter."""
    file = tmp_path_factory.mktemp('kernels') / 'figures.json'
    options = ['--archs', 'atto', '--shapes', '1x3x32x32', '--v2', '--dtype', 'bfloat16', '--rounds', '1']
    result = run_tool('-c', RUN_SMALL, TOOL, *options, '--out', file, TRITON_INTERPRET='1')
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout, json.loads(file.read_text())


class TestInTheInterpreter:
    def test_it_says_that_the_times_mean_nothing(self, interpreted):
        printed, _ = interpreted
        assert printed.startswith("Triton's interpreter runs the kernels: the times mean nothing.")

    def test_the_bytes_are_those_of_each_input_and_output(self, interpreted):
        _, saved = interpreted
        pixels, channels, hidden = 16, 8, 32
        bf16_map, float_map, bf16_hidden = 2 * pixels * channels, 4 * pixels * channels, 2 * pixels * hidden
        taps, per_channel, per_hidden, rstd = 4 * 49 * channels, 4 * channels, 4 * hidden, 4 * pixels
        weight = 2 * channels * hidden
        gradients = 2 * bf16_map + rstd + float_map + taps + (float_map + taps + per_channel)
        assert {each['kernel']: each['bytes'] for each in saved['cases'][0]['stages'][0]['kernels']} == {
            'depthwise conv + norm': float_map + taps + per_channel + (bf16_map + rstd),
            'its gradients, the norm on read': gradients,
            'its gradients, the norm before': gradients,
            'hidden layer': bf16_map + weight + per_hidden + (2 * bf16_hidden + per_hidden),
            'output layer': bf16_hidden + per_hidden + weight + per_channel + float_map + (float_map),
            "hidden layer's gradient": float_map + bf16_hidden + weight + 3 * per_hidden
            + (bf16_hidden + 2 * per_hidden),
            "output layer's weight gradient": float_map + bf16_hidden + per_hidden + (2 * weight + per_channel),
        }  # fmt: skip

    def test_the_fractions_are_of_the_measured_rates(self, interpreted):
        _, saved = interpreted
        for each in saved['cases'][0]['stages'][0]['kernels']:
            assert each['of_bandwidth'] == pytest.approx(each['bytes'] / each['median'] / saved['rates']['bandwidth'])
            if each['kernel'] in ('hidden layer', 'output layer'):
                assert each['flops'] == 2 * 16 * 8 * 32
                assert each['of_matmul_rate'] == pytest.approx(each['flop_rate'] / saved['rates']['matmul_rate'])
            if each['kernel'].startswith('its gradients'):
                assert each['flops'] is each['of_matmul_rate'] is None

    def test_a_block_runs_in_each_form_forward_and_backward(self, interpreted):
        printed, saved = interpreted
        works = saved['cases'][0]['stages'][0]['works']
        assert [work['work'] for work in works] == ['forward', 'forward + backward']
        for work in works:
            medians = {each['form']: each['median'] for each in work['forms']}
            assert list(medians) == list(FORMS)
            for form, ratio in work['ratios'].items():
                assert ratio['ratio'] == pytest.approx(medians[ratio['peer']] / medians[form])
            assert format_block([work]) in printed
        assert format_kernels(saved['cases'][0]['stages'][0]['kernels']) in printed


class TestKernels:
    def test_what_a_launch_leaves_out_moves_nothing(self):
        kernel = Kernel('', lambda x, _: (x[0], None), (torch.zeros(2, 10), None))
        assert moved_bytes(kernel) == 4 * (20 + 10)

    @pytest.mark.parametrize('v2', [False, True])
    def test_maps_have_the_sizes_and_the_dtype_that_the_blocks_get(self, v2):
        with torch.autocast('cpu', torch.bfloat16):
            given = []
            backbone = ConvNeXt('atto', use_grn=v2, layer_scale_init_value=0.0 if v2 else 1e-6)
            for stage in backbone.stages:
                stage[-1].register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
            backbone(torch.rand(2, 3, 64, 96))
        maps = list(stage_inputs('atto', (2, 3, 64, 96), torch.bfloat16, v2, CPU))
        assert [each.shape for each in maps] == [each.shape for each in given]
        assert all(each.is_contiguous(memory_format=torch.channels_last) for each in maps)
        # The stem's norm gives a GPU float32, and a CPU bfloat16.
        assert [each.dtype for each in maps[1:]] == [each.dtype for each in given[1:]]
        assert maps[0].dtype == torch.float32


class TestBlock:
    def test_another_gradient_is_refused(self):
        first = {'output': torch.ones(3), 'norm.weight': torch.ones(3)}
        _check_same({'PyTorch, eager': first, 'kernels, eager': first}, 0.1)
        wrong = {'output': torch.ones(3), 'norm.weight': torch.tensor([1.0, 1.0, 1.5])}
        with pytest.raises(RuntimeError, match='kernels, eager: another gradient of norm'):
            _check_same({'PyTorch, eager': first, 'kernels, eager': wrong}, 0.1)

    def test_what_is_not_a_number_is_refused(self):
        with pytest.raises(RuntimeError, match='kernels, eager: another output'):
            _check_same({'': {'output': torch.ones(1)}, 'kernels, eager': {'output': torch.tensor([torch.nan])}}, 0.1)


def entry(speedup=2.0, **changes):
    values = ('A GPU', 'bfloat16', 96, False, True, False, 4096)
    return {**dict(zip(KEYS, values, strict=True)), 'speedup': speedup, **changes}


class TestRecord:
    @pytest.fixture
    def file(self, tmp_path):
        file = tmp_path / 'measurements.json'
        file.write_text('[]')
        return file

    def test_an_entry_of_the_same_key_is_replaced(self, file):
        record([entry(2.0), entry(1.5, pixels=64)], file)
        record([entry(3.0)], file)
        assert json.loads(file.read_text()) == [entry(1.5, pixels=64), entry(3.0)]

    def test_a_folder_that_may_not_be_written_to_is_named(self, file, monkeypatch):
        check_writable(file)
        monkeypatch.setattr(os, 'access', lambda *_: False)
        with pytest.raises(UsageError, match=f'^--record: {file.parent} cannot be written to'):
            check_writable(file)

    def test_nothing_but_the_file_is_left(self, file):
        record([entry()], file)
        assert list(file.parent.iterdir()) == [file]

    def test_entries_are_sorted_with_a_line_each(self, file):
        entries = [entry(channels=channels, gpu=gpu) for gpu in ('B', 'A') for channels in (192, 96)]
        record(entries, file)
        written = file.read_text()
        assert json.loads(written) == entries[::-1]
        assert [json.loads(line.rstrip(',')) for line in written.splitlines()[1:-1]] == entries[::-1]

    def test_a_mode_is_compared_with_the_same_mode(self):
        ratios = {'kernels, eager': {'ratio': 1.25}, 'kernels, compiled': {'ratio': 0.75}}
        works = [dict(work=work, ratios=ratios) for work in ('forward', 'forward + backward')]
        measured = measurements_of(works, 'A GPU', torch.bfloat16, (2, 96, 8, 16), True)
        found = {(each['training'], each['compiled']): each['speedup'] for each in measured}
        assert found == {(False, False): 1.25, (False, True): 0.75, (True, False): 1.25, (True, True): 0.75}
        assert {each['pixels'] for each in measured} == {256}
        assert FORMS['kernels, compiled'].peer == 'PyTorch, compiled'

    def test_the_choice_reads_what_was_recorded(self, file, monkeypatch):
        record([entry(1.5), entry(0.5, pixels=64)], file)
        monkeypatch.setattr(choice, 'MEASUREMENTS', file)
        monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device: 'A GPU')
        choice._measurements.cache_clear()
        try:
            taken = [
                choice._measured_faster(torch.device('cuda'), torch.bfloat16, 96, False, True, False, pixels)
                for pixels in (4096, 64)
            ]
        finally:
            choice._measurements.cache_clear()
        assert taken == [True, False]


class TestRefusals:
    def run(self, monkeypatch, capsys, *options):
        monkeypatch.setattr(sys, 'argv', [str(TOOL), *options])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOL), run_name='__main__')
        assert end.value.code == 2
        return capsys.readouterr().err

    def test_without_a_gpu_it_is_one_sentence(self, monkeypatch, capsys):
        monkeypatch.delenv('TRITON_INTERPRET', raising=False)
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        error = self.run(monkeypatch, capsys)
        assert error.count('\n') == 1
        assert 'the kernels need an NVIDIA GPU' in error

    def test_the_interpreters_times_are_not_recorded(self, monkeypatch, capsys):
        monkeypatch.setenv('TRITON_INTERPRET', '1')
        assert "--record: the times of Triton's interpreter mean nothing" in self.run(monkeypatch, capsys, '--record')

    @pytest.mark.parametrize('text', ['16x3x512', '2x4x64x64', '2x3x16x64', '0x3x64x64'])
    def test_no_shape(self, text):
        with pytest.raises(UsageError, match='--shapes: '):
            parse_shape(text)

    def test_no_rounds(self):
        with pytest.raises(UsageError, match='--rounds must be at least 1'):
            check_rounds(0)
