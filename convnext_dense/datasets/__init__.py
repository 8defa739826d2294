"""Data: what we make, and what people bring."""

from convnext_dense.datasets.demo import DemoSpec, make_demo_data

__all__ = ['DemoSpec', 'make_demo_data']
