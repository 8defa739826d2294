"""What a batch takes of a device, and a batch in parts."""
