"""Datasets of label maps: found, read, and turned into maps whose values are the classes."""
