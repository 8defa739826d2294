"""What a validation found, kept in a small file of the work dir."""
