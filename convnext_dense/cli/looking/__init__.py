"""Commands that show what is there, and train nothing."""
