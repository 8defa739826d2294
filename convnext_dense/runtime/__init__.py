"""Exported models, run by ONNX Runtime or OpenVINO, without PyTorch and OpenMMLab."""

from convnext_dense.runtime.model import Model

__all__ = ['Model']
