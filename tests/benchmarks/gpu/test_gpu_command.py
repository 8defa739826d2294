"""The command shows its steps, refuses what it cannot do, and its rehearsal runs each kind of step."""

import json
import subprocess
import sys
from argparse import ArgumentParser
from importlib import import_module

import pytest
from helpers.demo_runs import ROOT

from benchmarks.gpu import command
from benchmarks.gpu.claims import READERS, Claim, read_aims, read_claims
from benchmarks.gpu.record import DONE, Record
from benchmarks.gpu.step import Step
from benchmarks.gpu.steps import full_steps, rehearsal_steps
from convnext_dense.cli.main import build_parser

MACHINE = dict(device='NVIDIA H200', type='cuda', compiler=True, versions=dict(torch='2.11.0'))


class _ParsedError(Exception):
    """Ends a program once its arguments are parsed."""


def ratio(value, memory, peer='timm, contiguous, eager'):
    return dict(peer=peer, ratio=value, memory=memory)


def backbone(value, memory):
    """A step's entry with one case, forward and backward."""
    limit = dict(of_matmul=0.5, of_bandwidth=0.25)
    ratios = {'ours vs best eager peer': ratio(value, memory)}
    measured = {'pass': 'forward + backward', 'ratios': ratios, 'limit': limit}
    return dict(claim='backbone', status=DONE, command='', figures=dict(cases=[dict(case='T', passes=[measured])]))


class TestSteps:
    def test_all_that_can_be_claimed_is_rehearsed(self):
        assert {step.claim for step in rehearsal_steps()} == set(READERS) == {step.claim for step in full_steps()}

    def test_have_names_of_their_own(self):
        names = [step.name for step in full_steps()]
        assert len(set(names)) == len(names)

    def test_ten_minutes_hold_tests_backbone_and_kernels(self):
        (tests, *_), total, started = full_steps(), 0.0, []
        for step in full_steps():
            if total + step.minutes <= 10:
                total += step.minutes
                started.append(step.claim)
        assert tests.claim == 'tests'
        assert {'tests', 'backbone', 'kernels'} <= set(started)

    @pytest.mark.parametrize('step', [*full_steps(), *rehearsal_steps()], ids=lambda step: step.name)
    def test_commands_parse(self, step, monkeypatch):
        module, *arguments = step.command[1:]
        if module == 'convnext_dense':
            assert build_parser().parse_args(arguments)
            return
        parse = ArgumentParser.parse_args

        def parse_only(parser, args=None, namespace=None):
            parse(parser, args, namespace)
            raise _ParsedError

        monkeypatch.setattr(ArgumentParser, 'parse_args', parse_only)
        monkeypatch.setattr(sys, 'argv', [module, *arguments])
        with pytest.raises(_ParsedError):
            import_module(module).main()


class TestClaims:
    def test_have_their_aims(self):
        claims = read_claims(backbone(2.0, 0.6))
        where, text = 'T, forward + backward', 'ours against timm, contiguous, eager'
        assert claims[0] == Claim(where, text, '2.00 times as fast', 'at least 1.8')
        assert [(claim.value, claim.aim) for claim in claims[:2]] == [
            ('2.00 times as fast', 'at least 1.8'),
            ('0.60', 'at most 0.7'),
        ]

    def test_the_aims_are_those_against_the_best_peer(self):
        aims = read_aims([backbone(2.0, 0.6), backbone(1.5, 0.9), backbone(1.7, 0.5)])
        assert [(claim.value, claim.aim) for claim in aims] == [
            ('1.50 times as fast', 'at least 1.8'),
            ('0.90', 'at most 0.7'),
        ]

    def test_of_nothing_are_none(self):
        assert read_claims(dict(claim='tests', status='not started')) == []


def test_the_page_names_the_machine_its_commands_and_its_gaps(tmp_path):
    record = Record(tmp_path, MACHINE, rehearsal=False, resume=False)
    steps = [Step('fast', 'backbone', 1.0, ('-m', 'x', '--out', '{out}')), Step('slow', 'demo', 2.0, ())]
    record.set(steps[0], **backbone(2.0, 0.6) | dict(seconds=30.0, command=steps[0].line))
    record.leave(steps[1], 'not started: no time')
    command.write_page(record, steps)
    page = record.page.read_text()
    assert page.startswith('# NVIDIA H200\n')
    assert '`python -m x`' in page and 'torch 2.11.0' in page
    assert '| ours against timm, contiguous, eager | 2.00 times as fast | at least 1.8 |' in page
    assert '| slow | not started: no time |  | 2.0 |' in page


class TestCommandLine:
    def test_lists_the_steps_and_their_minutes(self, call):
        result = call(command.main, '--list', '--only', 'tests', 'backbone-t-*-eager')
        assert result.status == 0
        assert result.out.count(' in all') == 3

    @pytest.mark.parametrize(
        ('words', 'message'),
        [
            ([], '--out: give a folder'),
            (['--out', 'x', '--only', 'no-such-step'], '--only: there is no step no-such-step'),
            (['--out', __file__], 'is a file; give a folder'),
        ],
    )
    def test_mistakes_are_one_line(self, call, words, message):
        result = call(command.main, *words)
        assert (result.status, result.err.count('\n')) == (2, 1)
        assert message in result.err


@pytest.mark.full
@pytest.mark.e2e
@pytest.mark.timeout(1800)
def test_a_rehearsal_runs_each_kind_of_step(tmp_path):
    words = [sys.executable, ROOT / 'benchmarks' / 'gpu', '--rehearse', '--minutes', '30', '--out', tmp_path]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    steps = json.loads((tmp_path / 'rehearsal.json').read_text())['steps']
    assert steps.pop('engines')['status'].startswith('skipped: this machine lacks an NVIDIA GPU')
    assert {name: entry['status'] for name, entry in steps.items()} == dict.fromkeys(steps, DONE)
    assert {*steps, 'engines'} == {step.name for step in rehearsal_steps()}
    assert all(read_claims(entry) for entry in steps.values())
    assert sorted(path.name for path in tmp_path.iterdir()) == ['rehearsal.json', 'rehearsal.log', 'rehearsal.md']
