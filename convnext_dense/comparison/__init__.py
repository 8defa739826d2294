"""One recipe, several backbones: their runs, scores and costs."""

from convnext_dense.comparison.compare import compare_backbones
from convnext_dense.comparison.report import comparison_table, write_report
from convnext_dense.comparison.runs import Comparison, Run

__all__ = ['Comparison', 'Run', 'compare_backbones', 'comparison_table', 'write_report']
