"""Matching of queries and objects, and the losses."""
