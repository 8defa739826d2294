"""How fast this package is, and where the time goes. Run each as ``python -m benchmarks.NAME``."""
