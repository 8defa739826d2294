"""A loaded model, exported, checked and timed."""
