"""The command-line arguments that several tools have."""

import argparse
from collections.abc import Sequence

from mmengine.config import DictAction


def config_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the arguments ``config`` and ``--cfg-options``.

    Args:
        description: What the tool does.

    Example:
        >>> config_parser('Train.').parse_args(['a.py', '--cfg-options', 'train_cfg.max_epochs=3']).cfg_options
        {'train_cfg.max_epochs': 3}
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        'config',
        help='config file, or a name in a package such as mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change keys of the config, such as train_dataloader.batch_size=4',
    )
    return parser


class _NamesOrAll(argparse.Action):
    """Stores the names that are given, or all that there are where none is."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: list[str],
        option: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, values or list(self.const))


def add_speed_argument(parser: argparse.ArgumentParser, switches: Sequence[str]) -> None:
    """Add ``--speed``, the switches to turn on: none without it, and all of them where it is given without a name.

    Args:
        parser: The parser.
        switches: Their names.

    Example:
        >>> parser = config_parser('Train.')
        >>> add_speed_argument(parser, ['bf16', 'compile'])
        >>> [parser.parse_args(['a.py', *flags]).speed for flags in ([], ['--speed'], ['--speed', 'bf16'])]
        [[], ['bf16', 'compile'], ['bf16']]
    """
    parser.add_argument(
        '--speed',
        action=_NamesOrAll,
        const=switches,
        default=[],
        nargs='*',
        metavar='NAME',
        help=f'turn on what makes it faster: {", ".join(switches)}; without a name, all of them',
    )


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--batch-size``, ``--scale`` and ``--with-data``: what training steps are measured on."""
    parser.add_argument('--batch-size', type=int, help="pictures a step; by default the config's")
    parser.add_argument('--scale', type=float, help='shrink the pictures, such as by 0.5, for a small machine')
    parser.add_argument('--with-data', action='store_true', help="read the config's data, and wait for it")


def add_shape_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--shape``, the height and width at which multiply-adds are counted."""
    parser.add_argument(
        '--shape',
        nargs=2,
        type=int,
        metavar=('HEIGHT', 'WIDTH'),
        help="the image's for FLOPs; by default the papers': 800 1280 for a detector, or what its tests pad to; "
        'for a segmenter its window and four times the width, or the size of its crops',
    )
