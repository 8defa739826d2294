"""Large images in tiles, and what their tiles show of the same objects."""
