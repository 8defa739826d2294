"""What kinds of errors predictions have: pure functions on arrays."""
