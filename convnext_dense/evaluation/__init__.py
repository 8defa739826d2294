"""Scores, and what evaluates them."""
