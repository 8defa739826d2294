"""What predictions are saved as."""
