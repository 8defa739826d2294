"""Whole training steps: how long they take, and where the time goes."""
