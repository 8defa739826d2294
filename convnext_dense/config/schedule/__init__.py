"""`--epochs`, `--iters` and `--batch-size`: how long a config trains, and what depends on it."""
