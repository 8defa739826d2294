"""The files that other runtimes read."""
