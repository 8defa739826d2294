"""What a test makes of a detector's maps, with the same results as mmdet in less time."""
