"""Hooks that notice what goes wrong in a run."""
