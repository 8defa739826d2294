"""The generated demo dataset."""

from convnext_dense.datasets.demo import DemoSpec, make_demo_data
from convnext_dense.datasets.shapes import CLASSES, Scene, render_scene

__all__ = ['CLASSES', 'DemoSpec', 'Scene', 'make_demo_data', 'render_scene']
