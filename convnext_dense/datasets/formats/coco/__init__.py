"""Annotation files of COCO's form: found, read, summed up, and split."""
