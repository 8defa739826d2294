"""A generated dataset of colored shapes, in the formats of COCO and ADE20K."""

from convnext_dense.datasets.demo.dataset import DemoSpec, make_demo_data
from convnext_dense.datasets.demo.shapes import CLASSES, Scene, render_scene

__all__ = ['CLASSES', 'DemoSpec', 'Scene', 'make_demo_data', 'render_scene']
