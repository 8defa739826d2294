"""The operators of ``mmcv._ext``, by torchvision's kernels and plain PyTorch.

Every function has the signature of the extension's function of the same name in mmcv 2.1.0: outputs are tensors of
the caller, which the function fills in place.
"""
