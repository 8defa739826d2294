"""What `--ema`, `--save-best`, `--patience`, `--accumulate` and `--log` write into a config."""
