"""The hybrid encoder."""
