"""One command that measures a GPU: `python -m benchmarks.gpu`, or `python benchmarks/gpu`."""

from benchmarks.gpu.command import main

__all__ = ['main']
