"""What is looked for before a run, so that one that would be wrong does not start. One kind of fault a file."""

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.run_checks import CHECKS, check_run
from convnext_dense.checks.run_plan import PlannedDataset, RunPlan

__all__ = ['CHECKS', 'Check', 'Finding', 'PlannedDataset', 'RunPlan', 'check_run']
