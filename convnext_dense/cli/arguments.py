"""The command-line arguments that several commands have. Imports nothing heavy."""

import argparse
import ast
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from convnext_dense.config.machine import check_run_folder
from convnext_dense.config.speed.switches import AUTO, SWITCHES, check_switches
from convnext_dense.errors import UsageError

# The largest seed that NumPy takes. No number of anything else is larger.
LARGEST = 2**32 - 1
QUOTES_AND_BRACKETS = tuple('\'"[({')


def add_config(parser: argparse.ArgumentParser, is_optional: bool = False) -> None:
    """Add the arguments ``config`` and ``--cfg-options``.

    Args:
        parser: The parser.
        is_optional: Whether the config may be left out.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_config(parser)
        >>> parser.parse_args(['a.py', '--cfg-options', 'train_cfg.max_epochs=3']).cfg_options
        ['train_cfg.max_epochs=3']
    """
    parser.add_argument(
        'config',
        nargs='?' if is_optional else None,
        help="config file; name of one of this package's configs, such as mask-rcnn_convnext-t_fpn_amp-1x_coco; or a "
        'name in a package, such as mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='*',
        action='extend',
        default=[],
        type=_option,
        metavar='KEY=VALUE',
        help='change keys of the config, such as train_dataloader.batch_size=4',
    )


def _option(text: str) -> str:
    if not text.partition('=')[0] or '=' not in text:
        raise argparse.ArgumentTypeError(f'an option is written as KEY=VALUE, without spaces; got {text!r}')
    return text


def parse_cfg_options(options: Sequence[str]) -> dict:
    """Return the changes of ``--cfg-options``, by mmengine's syntax: lists are ``[a,b]`` or ``a,b``, tuples ``(a,b)``.

    Args:
        options: Each as ``KEY=VALUE``.

    Example:
        >>> parse_cfg_options(['train_cfg.max_epochs=3', 'model.backbone.out_indices=[0,1]'])
        {'train_cfg.max_epochs': 3, 'model.backbone.out_indices': [0, 1]}
    """
    return dict(_key_and_value(option) for option in options)


def _key_and_value(option: str) -> tuple[str, object]:
    key, _, value = (part.strip() for part in option.partition('='))
    if not all(key.split('.')):
        raise UsageError(f'cfg_options: the key of {option} has an empty part; it is written as model.backbone.depth.')
    if value[:1] in QUOTES_AND_BRACKETS:
        # Python's own reading keeps spaces in texts, and what is quoted a text.
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            return key, ast.literal_eval(value)
    if value.startswith('{') or re.match(r'dict\s*\(', value):
        raise UsageError(f"cfg_options: the value of {option} cannot be read; a dict is written as {{'key': value}}.")
    # Imported here so that --help and typing errors need no mmengine.
    from mmengine.config import DictAction

    try:
        parsed = DictAction._parse_iterable(value)
    except (AssertionError, ValueError, SyntaxError, IndexError, RecursionError):
        parsed = value
    # What mmengine cannot read stays text.
    if isinstance(parsed, str) and value[:1] in ('[', '('):
        raise UsageError(f'cfg_options: the value of {option} cannot be read; check its brackets.')
    return key, parsed


def not_empty(text: str) -> str:
    """Return an argument's text; an empty one, such as that of an unset variable, is an error.

    Example:
        >>> not_empty('work_dirs/new')
        'work_dirs/new'
    """
    if not text.strip():
        raise argparse.ArgumentTypeError('it is empty')
    return text


def at_least(minimum: int) -> Callable[[str], int]:
    """Return the type of an argument that is a whole number of at least `minimum`.

    Example:
        >>> at_least(1)('3')
        3
    """

    def whole_number(text: str) -> int:
        if not text.removeprefix('-').isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f'it must be a whole number of at least {minimum}; got {text!r}')
        if int(text) > LARGEST:
            raise argparse.ArgumentTypeError(f'it must be at most {LARGEST}; got {text}')
        return int(text)

    return whole_number


def check_work_dir(work_dir: str | None) -> None:
    """Raise UsageError if the work dir is no folder, or a run cannot write to it.

    Example:
        >>> check_work_dir('work_dirs/new')
    """
    check_run_folder(work_dir, 'work_dir')


def check_data(place: str | None) -> None:
    """Raise UsageError if there is no such dataset.

    Example:
        >>> check_data(None)
    """
    if place is not None and not Path(place).exists():
        raise UsageError(f'data: there is no {place}.')


class _NamesOrAll(argparse.Action):
    """Stores the names that are given, or all that there are if none is. A wrong name is an error at once."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[str] | None,
        option_string: str | None = None,
    ) -> None:
        # Only training has all switches, and only its switches can be timed.
        if values != [AUTO] or len(self.const) < len(SWITCHES):
            try:
                check_switches(list(values or []), self.const)
            except UsageError as error:
                parser.exit(2, f'error: --{error}\n')
        setattr(namespace, self.dest, values or list(self.const))


def add_speed_argument(parser: argparse.ArgumentParser, switches: Sequence[str]) -> None:
    """Add ``--speed``, the switches to turn on: none without it, and all of them if it is given without a name.

    Args:
        parser: The parser.
        switches: Their names.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_speed_argument(parser, ['bf16', 'compile'])
        >>> [parser.parse_args(flags).speed for flags in ([], ['--speed'], ['--speed', 'bf16'])]
        [[], ['bf16', 'compile'], ['bf16']]
    """
    parser.add_argument(
        '--speed',
        action=_NamesOrAll,
        const=list(switches),
        default=[],
        nargs='*',
        metavar='NAME',
        help=f'turn on what makes it faster: {", ".join(switches)}; without a name, all of them'
        + (
            f'; {AUTO} takes those that are faster in some steps that it times'
            if len(switches) == len(SWITCHES)
            else ''
        ),
    )


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add ``--recipe`` and ``--from-scratch``, which say how a backbone is trained and what it starts from."""
    parser.add_argument(
        '--recipe',
        choices=['convnext'],
        help="train with ConvNeXt's published optimizer (AdamW, its rate, weight decay and layer decay) in place of "
        "the config's own",
    )
    parser.add_argument('--from-scratch', action='store_true', help='without published weights')


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add ``--data``, the dataset that takes the place of the config's."""
    parser.add_argument(
        '--data',
        type=not_empty,
        metavar='PLACE',
        help="put a dataset into the config: a folder or a file of COCO's form, YOLO's, Pascal VOC's or LabelMe's, of "
        'label maps, or a YAML file that says where its parts are',
    )
    parser.add_argument(
        '--boxes-to-masks', action='store_true', help='in data, let objects without a mask have their box as one'
    )


def add_length(parser: argparse.ArgumentParser) -> None:
    """Add ``--epochs`` and ``--iters``, one of which says how long to train.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_length(parser)
        >>> parser.parse_args(['--epochs', '50'])
        Namespace(epochs=50, iters=None)
    """
    lengths = parser.add_mutually_exclusive_group()
    lengths.add_argument(
        '--epochs',
        type=at_least(1),
        metavar='N',
        help="train for N epochs; warm-up, the learning rate's steps and intervals are stretched with it",
    )
    lengths.add_argument('--iters', type=at_least(1), metavar='N', help='train for N steps, likewise')


def add_batch_size(parser: argparse.ArgumentParser) -> None:
    """Add ``--batch-size``, a number or 'auto'.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_batch_size(parser)
        >>> parser.parse_args(['--batch-size', '4']).batch_size, parser.parse_args(['--batch-size=auto']).batch_size
        (4, 'auto')
    """

    def number_or_auto(text: str) -> int | str:
        return text if text == 'auto' else at_least(1)(text)

    parser.add_argument(
        '--batch-size',
        type=number_or_auto,
        metavar='N|auto',
        help='images of a step on each GPU, or auto for the most that fit; the learning rate is scaled linearly',
    )


def add_update(parser: argparse.ArgumentParser) -> None:
    """Add ``--accumulate`` and ``--ema``, which say how steps become weights.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_update(parser)
        >>> parser.parse_args(['--accumulate', '8', '--ema'])
        Namespace(accumulate=8, ema=True)
    """
    parser.add_argument(
        '--accumulate',
        type=at_least(1),
        metavar='N',
        help='update the weights after every N steps; the learning rate is scaled to the images of an update',
    )
    parser.add_argument('--ema', action='store_true', help='average the weights; the average is validated and saved')


def add_skip_check(parser: argparse.ArgumentParser) -> None:
    """Add ``--skip-check``, which leaves out checks that are made before the run."""
    parser.add_argument(
        '--skip-check', nargs='+', default=[], metavar='NAME', help='start in spite of what this check finds'
    )


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add ``--launcher``, which says what started this process."""
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started this process, if it is one of several',
    )


def add_shape_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--shape``, the height and width at which multiply-adds are counted."""
    parser.add_argument(
        '--shape',
        nargs=2,
        type=at_least(1),
        metavar=('HEIGHT', 'WIDTH'),
        help="the image's for FLOPs; by default the papers': 800 1280 for a detector, or what its tests pad to; "
        'for a segmenter its window and four times the width, or the size of its crops',
    )
