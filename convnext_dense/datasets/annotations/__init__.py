"""Annotation files of COCO's form: their entries, boxes and masks, and what is wrong with them."""
