"""Checks a dataset as a whole, and writes a cleaned copy."""
