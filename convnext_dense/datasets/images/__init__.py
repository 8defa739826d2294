"""Image files: what they hold, what is wrong with them, and how they are read."""
