"""Fixtures of the tests and of the examples in docstrings."""

import pytest
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def _logger() -> None:
    """Make the logger before an example runs: one that is made in an example prints into it."""
    MMLogger.get_current_instance()


@pytest.fixture(autouse=True)
def _scope() -> None:
    """Forget the scope that an earlier test has left: names would be looked up there, but only then."""
    DefaultScope._instance_dict.clear()
