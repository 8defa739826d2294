"""The verbs as Python functions: train and test."""
