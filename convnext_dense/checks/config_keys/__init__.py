"""The check on keys that nothing reads, or that a component does not take."""
