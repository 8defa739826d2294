"""What is benchmarked, and how the command line gives it."""

import argparse
import doctest
import json
from itertools import pairwise

import pytest
import torch

from benchmarks import cases, measure, passes
from benchmarks.cases import Case, add_case_arguments, check_kernels_run, parse_cases, parse_shape, run_benchmark
from convnext_dense.backbones import ConvNeXt
from convnext_dense.backbones.convnext import Arch
from convnext_dense.errors import UsageError

CPU = torch.device('cpu')
SHAPE = (1, 3, 64, 64)


@pytest.mark.parametrize('module', [cases, measure, passes], ids=lambda module: module.__name__)
def test_examples_run(module):
    assert not doctest.testmod(module).failed


class TestFlopsAndBytes:
    def test_flops_are_twice_the_papers(self):
        # The paper's 4.5G are multiply-adds.
        one = Case('tiny', (1, 3, 224, 224)).flops('forward')
        assert one == pytest.approx(2 * 4.46e9, rel=0.005)
        assert Case('tiny', (4, 3, 224, 224)).flops('forward + backward') == 3 * 4 * one

    def test_fewest_bytes_are_those_of_maps_and_weights(self, monkeypatch):
        monkeypatch.setitem(ConvNeXt.arch_settings, 'narrow', Arch((1, 1, 1, 1), (8, 8, 8, 8)))
        image, maps = 3 * 64 * 64, [8 * 16 * 16, 8 * 8 * 8, 8 * 4 * 4, 8 * 2 * 2]
        # Stem, downsampling layers, blocks and norms each read their input and write their output.
        activations = image + maps[0] + sum(a + b for a, b in pairwise(maps)) + 2 * 2 * sum(maps)
        weights = sum(parameter.numel() for parameter in ConvNeXt('narrow').parameters())
        assert Case('narrow', SHAPE).fewest_bytes('forward') == 4 * (activations + weights)
        assert Case('narrow', SHAPE, torch.bfloat16).fewest_bytes('forward') == 2 * activations + 4 * weights


class TestParseCases:
    def parse(self, *arguments):
        parser = argparse.ArgumentParser()
        add_case_arguments(parser)
        return parse_cases(parser.parse_args(arguments), ['tiny', 'base'], ['2x3x64x64'], CPU)

    def test_one_for_each_size_and_shape(self):
        parsed = self.parse('--shapes', '1x3x32x32', '2x3x64x96', '--v2', '--rounds', '3')
        assert [(case.arch, case.shape) for case in parsed] == [
            (arch, shape) for arch in ('tiny', 'base') for shape in ((1, 3, 32, 32), (2, 3, 64, 96))
        ]
        assert {(case.dtype, case.v2, case.rounds) for case in parsed} == {(torch.float32, True, 3)}

    def test_no_rounds_are_refused(self, capsys):
        with pytest.raises(SystemExit, match='2'):
            self.parse('--rounds', '0')
        assert 'argument --rounds: it must be a whole number of at least 1; got' in capsys.readouterr().err

    @pytest.mark.parametrize('text', ['16x3x512', '2x4x64x64', '2x3x16x64', '0x3x64x64'])
    def test_what_is_no_shape_is_refused(self, text):
        with pytest.raises(UsageError, match='shapes: '):
            parse_shape(text)


def test_kernels_that_cannot_run_are_refused(monkeypatch):
    monkeypatch.delenv('TRITON_INTERPRET', raising=False)
    with pytest.raises(UsageError, match='kernels: they need an NVIDIA GPU'):
        check_kernels_run(Case('atto', SHAPE))


class TestRunBenchmark:
    def main(self, arguments, run):
        parser = argparse.ArgumentParser()
        parser.add_argument('--rounds', type=int)
        return run_benchmark(parser, arguments, run, lambda figures: f'{figures["ms"]} ms')

    def test_prints_and_saves_each_case(self, capsys, tmp_path):
        file = tmp_path / 'new' / 'figures.json'
        saved = []

        def run(args):
            yield dict(ms=1.5)
            saved.append(json.loads(file.read_text())['cases'])
            yield dict(ms=2.5)

        figures = self.main(['--out', str(file)], run)
        printed = capsys.readouterr().out
        assert '1.5 ms' in printed and '2.5 ms' in printed
        assert figures == json.loads(file.read_text())['cases'] == [dict(ms=1.5), dict(ms=2.5)]
        # A long benchmark that is stopped keeps what it has measured.
        assert saved == [[dict(ms=1.5)]]
        assert json.loads(file.read_text())['machine']['versions']['torch']

    def test_a_mistake_is_one_line(self, call):
        def run(args):
            raise UsageError('rounds: must be at least 1; got 0.')
            yield

        result = call(lambda arguments: self.main(arguments, run))
        assert (result.status, result.err) == (2, 'error: --rounds: must be at least 1; got 0.\n')
