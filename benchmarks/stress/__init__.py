"""What a training survives: kills at random moments, and long runs of them."""
