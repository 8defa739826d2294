"""Fixtures of the tests and of the examples in docstrings."""

import pytest
from mmengine.logging import MMLogger


@pytest.fixture(autouse=True)
def _logger() -> None:
    """Make the logger before an example runs: one that is made in an example prints into it."""
    MMLogger.get_current_instance()
