"""Tables, plots, and self-contained HTML pages."""

from typing import TYPE_CHECKING

from convnext_dense.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from convnext_dense.reports.complexity import complexity_table
    from convnext_dense.reports.data_pictures import data_page
    from convnext_dense.reports.data_report import data_text
    from convnext_dense.reports.page import html_facts, html_page, html_table
    from convnext_dense.reports.plot import plot_scores
    from convnext_dense.reports.table import format_table

__all__ = [
    'complexity_table',
    'data_page',
    'data_text',
    'format_table',
    'html_facts',
    'html_page',
    'html_table',
    'plot_scores',
]

__getattr__ = lazy_exports(
    __name__,
    dict(
        complexity_table='complexity',
        data_page='data_pictures',
        data_text='data_report',
        format_table='table',
        html_facts='page',
        html_page='page',
        html_table='page',
        plot_scores='plot',
    ),
)
