"""Hooks that make a run faster."""
