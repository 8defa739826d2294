"""Looks for the sentences on faults that are planted in a run."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convnext_dense.checks import CHECKS
from helpers.planted.runs import DetectorRun, SegmenterRun

# The runs' images are empty files, so `images` and `labels` have tests of their own.
NAMES = ('files', 'classes', 'annotations', 'heads', 'evaluator')
Plant = Callable[[DetectorRun | SegmenterRun], tuple[str, ...]]


class Faults(dict[str, Plant]):
    """Functions that spoil a run, and return words that the sentence on it has. As a decorator it adds one.

    Args:
        run_type: The runs that they spoil.
    """

    def __init__(self, run_type: type) -> None:
        super().__init__()
        self.run_type = run_type

    def __call__(self, plant: Plant) -> Plant:
        self[plant.__name__] = plant
        return plant

    def look_for(self, name: str, examples: int = 3) -> None:
        """Plant a fault in some runs, and look for its sentence."""
        look_for(self.run_type, self[name], examples)


def look_for(run_type: type, plant: Plant | None, examples: int = 3) -> None:
    """Plant a fault, or none, in some runs, and look for its sentence."""
    options = settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    options(given(st.data())(lambda data: _look(run_type, plant, data)))()


def _look(run_type: type, plant: Plant | None, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = run_type(Path(folder), data)
        words = plant(run) if plant else ()
        plan = run.plan()
        sentences = [finding.sentence for check in CHECKS if check.name in NAMES for finding in check.find(plan)]
    if plant is None:
        assert not sentences
    else:
        assert any(all(word in sentence for word in words) for sentence in sentences), (words, sentences)
    assert all(sentence.endswith('.') and '\n' not in sentence for sentence in sentences)
