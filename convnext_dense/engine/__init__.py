"""Hooks, and what the command-line tools call."""

from convnext_dense.engine.sync_bn import RevertSyncBNHook

__all__ = ['RevertSyncBNHook']
