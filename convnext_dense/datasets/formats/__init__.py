"""Datasets as people have them on disk, recognized and described."""
