"""The verbs as Python functions."""

from typing import TYPE_CHECKING

from convnext_dense.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from convnext_dense.apis.batch_size import find_batch_size
    from convnext_dense.apis.browsing import browse
    from convnext_dense.apis.data.data_check import CheckedData, check_data
    from convnext_dense.apis.data.data_mending import mend_data
    from convnext_dense.apis.demo import run_demo
    from convnext_dense.apis.distilling import distill
    from convnext_dense.apis.environment import describe_environment
    from convnext_dense.apis.launching.processes import launch
    from convnext_dense.apis.replaying import replay
    from convnext_dense.apis.reporting.pages import report
    from convnext_dense.apis.reporting.validation import record_validation
    from convnext_dense.apis.testing import test
    from convnext_dense.apis.training import train

__all__ = [
    'CheckedData',
    'browse',
    'check_data',
    'describe_environment',
    'distill',
    'find_batch_size',
    'launch',
    'mend_data',
    'record_validation',
    'replay',
    'report',
    'run_demo',
    'test',
    'train',
]

__getattr__ = lazy_exports(
    __name__,
    dict(
        CheckedData='data.data_check',
        browse='browsing',
        check_data='data.data_check',
        describe_environment='environment',
        distill='distilling',
        find_batch_size='batch_size',
        launch='launching.processes',
        mend_data='data.data_mending',
        record_validation='reporting.validation',
        replay='replaying',
        report='reporting.pages',
        run_demo='demo',
        test='testing',
        train='training',
    ),
)
