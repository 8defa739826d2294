"""Processes: how they are started, asked to stop, and waited for."""
