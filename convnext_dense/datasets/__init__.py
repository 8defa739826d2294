"""Data: what we make, and what people bring."""
