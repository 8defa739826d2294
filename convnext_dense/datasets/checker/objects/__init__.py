"""What is wrong with objects: their entries, boxes and masks."""
