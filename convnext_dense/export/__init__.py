"""A trained model for other runtimes, checked against PyTorch."""
