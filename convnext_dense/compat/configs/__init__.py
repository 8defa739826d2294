"""mmengine's configs: found, read and written."""
