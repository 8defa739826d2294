"""What is wrong with a dataset: every image, annotation and label map is read. No config is needed."""
