"""Exported models, run by ONNX Runtime or OpenVINO, without PyTorch and OpenMMLab."""
