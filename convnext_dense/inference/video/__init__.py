"""Videos: their frames, and objects that are followed from frame to frame."""
