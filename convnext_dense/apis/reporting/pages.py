"""Reports on finished runs as a page."""

import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.logging import print_log

from convnext_dense.errors import describe
from convnext_dense.evaluation.output_files import write_whole
from convnext_dense.reports.run.finished_run import find_runs, read_runs
from convnext_dense.reports.run.page import run_page

REPORT_FILE = 'report.html'


def report(runs: Sequence[str | Path], out: str | Path | None = None) -> Path:
    """Write one page on finished runs: scores, curves, errors, predictions, data, configs and machines.

    Args:
        runs: Work dirs, or folders that hold those of several runs, such as a comparison's.
        out: The page. Defaults to ``report.html`` in the work dir, or in the folder that holds all of them.

    Returns:
        The page.

    Raises:
        UsageError: If a folder is no run's, one of its files is damaged, or the page cannot be written.

    Example:
        >>> report(['work_dirs/my_run'])  # doctest: +SKIP
        PosixPath('work_dirs/my_run/report.html')
    """
    folders = find_runs(runs)
    default = Path(os.path.relpath(os.path.commonpath(folders)), REPORT_FILE)
    file = Path(out) if out else default
    page = run_page(read_runs(folders))
    with write_whole(file, 'out') as partial:
        partial.write_text(page, encoding='utf-8')
    return file


def report_finished_run(work_dir: str | Path) -> None:
    """Write the report on a run that ends now, in the main process. What keeps it from that is logged and no more.

    Args:
        work_dir: The run's work dir.
    """
    if not is_main_process():
        return
    try:
        print_log(f'report: {report([work_dir])}', logger='current')
    except Exception as error:  # noqa: BLE001 - a finished run does not fail
        print_log(f'report: it could not be written: {describe(error)}', logger='current')
