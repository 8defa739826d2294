"""What a failed run says."""
