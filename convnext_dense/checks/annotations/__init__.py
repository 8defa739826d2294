"""What is wrong in COCO annotation files."""
