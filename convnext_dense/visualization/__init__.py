"""Draws what a model is fed."""
