"""What scores a model: metrics, test-time augmentation, and the runner that tests."""
