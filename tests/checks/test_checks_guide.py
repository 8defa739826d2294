"""The guide names every check."""

import re

from convnext_dense.checks import CHECKS


def test_the_guide_names_every_check_in_order(pytestconfig):
    guide = (pytestconfig.rootpath / 'docs/guides/checks.md').read_text()
    assert re.findall(r'^\| `(\w+)` \|', guide, flags=re.M) == [check.name for check in CHECKS]
