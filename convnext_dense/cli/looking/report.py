"""Report on finished runs as one page: scores, curves, errors, predictions, configs and machines."""

import argparse

from convnext_dense.cli.arguments import not_empty


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('runs', nargs='+', metavar='RUN', help='work dir of a run, or a folder that holds several')
    parser.add_argument('--out', type=not_empty, metavar='FILE', help='the page (default: report.html in the folder)')
    parser.add_argument(
        '--evaluate', action='store_true', help="validate a run's checkpoint first if it kept no record of a validation"
    )


def run(args: argparse.Namespace) -> None:
    """Write the page, and say where it is."""
    from convnext_dense.config.machine import check_output_file

    check_output_file(args.out, 'out')
    from convnext_dense.apis.reporting.pages import report

    if args.evaluate:
        from convnext_dense.apis.reporting.validation import record_validation
        from convnext_dense.reports.run.finished_run import find_runs

        for folder in find_runs(args.runs):
            record_validation(folder)
    print(f'Report: {report(args.runs, args.out)}')
