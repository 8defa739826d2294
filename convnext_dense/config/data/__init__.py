"""Puts a dataset into a config: `set_data`, and the parts of a config that follow from a dataset."""
