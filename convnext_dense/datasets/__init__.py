"""Data: what we make, and what people bring."""

from typing import TYPE_CHECKING

from convnext_dense.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from convnext_dense.datasets.demo import DemoSpec, make_demo_data

__all__ = ['DemoSpec', 'make_demo_data']

# Pictures are read where pycocotools, which the demo data takes, is not installed.
__getattr__ = lazy_exports(__name__, dict(DemoSpec='demo', make_demo_data='demo'))
