"""On which versions of Python, PyTorch and OpenMMLab the tests pass. Run it as ``cd tests && python -m stacks``."""
