"""The report on finished runs: the parts of its page."""
