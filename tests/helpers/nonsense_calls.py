"""Wrong calls of each command, made from its own parser, so that a new flag is among them."""

import argparse
import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from convnext_dense.cli.main import build_parser, subparsers
from convnext_dense.errors import RunError
from helpers.commands import Result, run_command

# What people type, paste, or leave in a variable. Paths are of the folder of the call alone: some flags write there.
NONSENSE = (
    *('', ' ', 'nonsense', '-', '--', '-x', '--nonsense', '.', '..', '~', '*', '%s', '{0}', '$HOME', 'None', 'true'),
    *('0', '-1', '--5', '1', '3', '1.5', '1e3', 'nan', 'inf', '0x10', '1_000', '\u0663', '\u00b2', str(10**20)),
    *('[1,(2]', '(1,', "{'a': 1", '{}', 'a=b', '=1', 'a..b=1', 'a.b.c=1', 'model=3', 'train_cfg.max_epochs=x'),
    *('model.backbone.arch.depths=[]', 'train_dataloader=None', 'val_evaluator=3', 'work_dir=3', 'launcher=slurm'),
    *(os.devnull, '/proc/x', 'file.txt', 'file.txt/x', 'nowhere.py', 'nowhere.pth', 'data', 'data/demo'),
    *('s3://a.pth', 'http://127.0.0.1:9/a.pth', 'mmdet::x', 'mmdet::../x', 'timm/x', 'mmdet/', 'mmdet/ResNet(depth=x)'),
    *('convnext_tiny((', "__import__('os')", 'a' * 300, '\u65e5\u672c', 'a\nb', '\udcff', '\u202e', '\x1b[31m', '\t'),
)
# What would only take long, or much memory.
ONLY_LONG = ('num_train', 'num_val', 'size')
# What a command cannot do without, and what makes it short.
BASES = {
    'train': ['{config}'],
    'distill': ['--images', '{images}', '--teacher=timm/test_vit', '--student=convnext_atto', '--from-scratch'],
    'test': ['{config}', '{checkpoint}'],
    'browse': ['{config}', '--count=1'],
    'check': ['{config}', '--workers=1'],
    'compare': ['{config}', '--backbones', 'convnext_atto', '--from-scratch'],
    'flops': ['{config}'],
    'weights inspect': ['{checkpoint}'],
    'weights convert': ['{checkpoint}', 'new.pth'],
    'demo': ['--only-data', '--num-train=1', '--num-val=1'],
    'completion': ['bash'],
    'config': ['{config}'],
    'summary': ['{config}'],
    'explain': ['{checkpoint}', '--device=cpu'],
    'export': ['{checkpoint}', '--check={image}'],
    'predict': ['{checkpoint}', '{image}', '--device=cpu'],
    'replay': ['{step}'],
    'report': ['{work_dir}', '--out=page.html'],
    'serve': ['{exported}'],
}
STARTED = 'the work would start here'
# Where a command begins what takes long.
WORK = (
    'convnext_dense.apis.training.build_runner',
    'convnext_dense.apis.testing.build_runner',
    'convnext_dense.comparison.compare.launch',
    'convnext_dense.apis.demo.launch',
    'convnext_dense.inference.explaining.explain.FeatureSheets',
    'convnext_dense.inference.explaining.explain.fields_of',
    'convnext_dense.runtime.serving.make_server',
)


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command, by its words."""
    found = {parser.prog.partition(' ')[2]: parser for parser in subparsers(build_parser())}
    groups = {words.rpartition(' ')[0] for words in found}
    return {words: parser for words, parser in found.items() if words not in groups}


def arguments_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments of a command that take a value."""
    return [action for action in parser._actions if action.nargs != 0]


def calls_of(words: str, action: argparse.Action, value: str) -> list[str]:
    """Return a call of a command with a value for one of its arguments."""
    base = BASES.get(words, [])
    if not action.option_strings:
        positional = [other.dest for other in arguments_of(commands()[words]) if not other.option_strings]
        place = positional.index(action.dest)
        return [*base[:place], value, *base[place + 1 :]]
    flag = max(action.option_strings, key=len)
    base = [part for part in base if not part.startswith(f'{flag}=')]
    if flag in base:
        del base[base.index(flag) : base.index(flag) + 2]
    # With `=`, a value may begin with a dash; several values are words of their own.
    return (
        [*base, flag, *[value] * (action.nargs if isinstance(action.nargs, int) else 1)]
        if action.nargs
        else [
            *base,
            f'{flag}={value}',
        ]
    )


def is_long(action: argparse.Action, value: str) -> bool:
    """Return whether a value is right, and only makes more work than a test should have."""
    return action.dest in ONLY_LONG and value == str(10**20)


def call(folder: Path, words: str, arguments: list[str], places: dict[str, Path]) -> Result:
    """Call a command in a folder, up to where its work starts. `places` are the files that its arguments may name."""
    filled = [places.get(part.strip('{}'), part) if part.startswith('{') else part for part in arguments]
    (folder / 'file.txt').write_text('a file')
    with contextlib.ExitStack() as stack:
        for name in WORK:
            stack.enter_context(mock.patch(name, side_effect=RunError(STARTED)))
        # A port that another program listens to is no fault of the call.
        stack.enter_context(mock.patch('convnext_dense.cli.running.serve.check_port'))
        # `~` is a folder of a few files.
        stack.enter_context(mock.patch.dict(os.environ, HOME=str(folder)))
        return run_command(folder, *words.split(), *filled)


def faults(result: Result) -> Iterator[str]:
    """Yield what is wrong with an answer to a wrong call."""
    if result.status not in (0, 1, 2):
        yield f'exit code {result.status}'
    if 'Traceback' in result.out + result.err:
        yield 'a traceback'
    if 'since it failed' in result.err:
        yield 'a check that failed'
    errors = [line for line in result.err.split('\n') if line.startswith('error: ')]
    if len(errors) != (result.status == 2 or STARTED in result.err):
        yield f'{len(errors)} errors with exit code {result.status}'
    if not stat.S_ISCHR(os.stat(os.devnull).st_mode):
        yield f'a file in place of {os.devnull}'
    if result.status == 1 and STARTED not in result.err and 'error' not in result.out:
        yield 'exit code 1 without a word'
