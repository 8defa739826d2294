"""Writes a copy of a dataset without the faults that can be mended without guessing."""
