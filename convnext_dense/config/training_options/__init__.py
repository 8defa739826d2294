"""What `--ema`, `--save-best`, `--patience` and `--accumulate` write into a config."""
