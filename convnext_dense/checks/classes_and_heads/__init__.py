"""The checks on class names, on the heads that predict them, and on the evaluators that score them."""
