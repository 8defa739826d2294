"""Finds folders that results cannot be written to."""

from collections.abc import Iterator

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.config.machine import check_run_folder
from convnext_dense.config.tree import value_at
from convnext_dense.errors import UsageError

# Where hooks, evaluators and visualizers write to, if their keys are given.
FOLDERS = (
    'work_dir',
    'default_hooks.checkpoint.out_dir',
    'default_hooks.visualization.test_out_dir',
    'visualizer.save_dir',
    'val_evaluator.output_dir',
    'test_evaluator.output_dir',
)


def find_outputs(plan: RunPlan) -> Iterator[Finding]:
    """Return the folders that cannot be written to."""
    for key in FOLDERS:
        folder = value_at(plan.cfg, key)
        if isinstance(folder, str):
            try:
                check_run_folder(folder, key)
            except UsageError as error:
                yield Finding(str(error))


OUTPUTS = Check('outputs', 'folders that are written to', find_outputs)
