"""Transforms of the same result as mmdet's and mmseg's, in less time."""
