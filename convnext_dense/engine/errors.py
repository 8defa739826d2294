"""Mistakes of the person who runs a tool, as opposed to faults of the program."""


class UsageError(ValueError):
    """A mistake in what a tool was given. Its message is one sentence: what, where, and what is allowed.

    The command-line tools print it and exit with status 2.
    """
