"""Label maps: what their values mean, what is wrong with them, and how they are read."""
