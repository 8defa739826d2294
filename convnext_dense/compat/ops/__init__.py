"""The operators of ``mmcv._ext``, by torchvision's kernels and plain PyTorch.

Every function has the signature of the function of the same name in mmcv 2.1.0's extension: it fills output tensors of
the caller in place.
"""
