"""The verbs as Python functions."""

from typing import TYPE_CHECKING

from convnext_dense.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from convnext_dense.apis.demo import run_demo
    from convnext_dense.apis.environment import describe_environment
    from convnext_dense.apis.launch import launch
    from convnext_dense.apis.test import test
    from convnext_dense.apis.train import train

__all__ = ['describe_environment', 'launch', 'run_demo', 'test', 'train']

__getattr__ = lazy_exports(
    __name__,
    dict(describe_environment='environment', launch='launch', run_demo='demo', test='test', train='train'),
)
