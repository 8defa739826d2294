"""Datasets of objects that have a file of annotations for each image, read and written as COCO's form."""
