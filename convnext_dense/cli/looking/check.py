"""Check every image, annotation and label map of a dataset."""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from convnext_dense.cli.arguments import add_config, at_least, check_data, not_empty, parse_cfg_options
from convnext_dense.config.find import find_config
from convnext_dense.errors import UsageError

TASKS = ('boxes', 'instances', 'semantic')
FOUND_ERRORS = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser, is_optional=True)
    parser.add_argument(
        '--data',
        type=not_empty,
        metavar='PLACE',
        help='the dataset: a folder, or an annotation file; without it, the datasets of the config',
    )
    parser.add_argument('--task', choices=TASKS, help='what the data is for, if there is no config that says it')
    parser.add_argument('--json', type=not_empty, metavar='FILE', help='write the report as JSON')
    parser.add_argument('--html', type=not_empty, metavar='FILE', help='write the report as a page with pictures')
    parser.add_argument(
        '--fix',
        type=not_empty,
        metavar='OUT',
        help='write a copy without what can be mended without guessing into this new folder, and check it',
    )
    parser.add_argument(
        '--no-images', action='store_true', help='read annotation files and label maps alone, in seconds'
    )
    parser.add_argument(
        '--workers', type=at_least(1), metavar='N', help='processes that read images; by default one a core'
    )


def run(args: argparse.Namespace) -> None:
    """Check, print the report, and exit with 1 if there is an error."""
    if args.config is None and args.data is None:
        raise UsageError('data: name the dataset, or give a config that has one.')
    if args.config is None and args.task is None:
        raise UsageError(f'task: say what the data is for: {", ".join(TASKS[:-1])} or {TASKS[-1]}.')
    check_data(args.data)
    if args.config is not None:
        find_config(args.config)
    for name in ('json', 'html'):
        if (file := getattr(args, name)) and not Path(file).absolute().parent.is_dir():
            raise UsageError(f'{name}: there is no folder {Path(file).parent}.')
    if args.fix and args.no_images:
        raise UsageError('fix: it leaves out images that cannot be read, so it has to read them; leave out no_images.')
    # OpenCV's own words on damaged files are no part of the report.
    os.environ.setdefault('OPENCV_LOG_LEVEL', 'SILENT')
    from convnext_dense import apis
    from convnext_dense.config import load_config
    from convnext_dense.reports import data_page, data_text

    cfg = load_config(args.config, cfg_options=parse_cfg_options(args.cfg_options)) if args.config else None
    checked = apis.check_data(args.data, args.task, cfg, not args.no_images, args.workers, _show_progress)
    print(data_text(checked.report))
    if args.json:
        _write(args.json, checked.report.to_json(), 'json')
    if args.html:
        _write(args.html, data_page(checked.report), 'html')
    if args.fix:
        changes, checked = apis.mend_data(checked, args.fix, args.workers, _show_progress)
        print('\n'.join([f'written: {args.fix}', *(f'  {change}' for change in changes), data_text(checked.report)]))
    if checked.report.has_errors:
        sys.exit(FOUND_ERRORS)


def _show_progress(results: Iterable, total: int, title: str) -> Iterable:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(results, title, total, console=console, transient=True, disable=not console.is_terminal)


def _write(file: str, text: str, name: str) -> None:
    try:
        Path(file).write_text(text, encoding='utf-8', errors='backslashreplace')
    except OSError as error:
        raise UsageError(f'{name}: {file} cannot be written: {error.strerror}.') from error
    print(f'written: {file}')
