"""What a comparison is: a recipe, trained with several backbones and seeds."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from convnext_dense.hooks.training_cost_hook import read_training_cost

# What DivergenceHook's message begins with.
DIVERGED = 'training diverged'


@dataclass
class Run:
    """One training of a comparison.

    Args:
        backbone: The backbone's name.
        seed: The seed.
        cfg: The config.
        folder: The work dir.
        cost: What the run cost and scored, as `TrainingCostHook` writes it; None until it is done.
        failure: Why it failed; '' if it did not.
    """

    backbone: str
    seed: int
    cfg: Config
    folder: Path
    cost: dict | None = None
    failure: str = ''

    @property
    def name(self) -> str:
        """What tells it from the other runs."""
        return f'{self.backbone}, seed {self.seed}'

    @property
    def has_diverged(self) -> bool:
        """Whether it failed because its loss, gradients or weights were no longer finite."""
        return self.failure.startswith(DIVERGED)

    @property
    def config_file(self) -> Path:
        """The file of its config, next to the folder, into which training writes one that says ``resume``."""
        return self.folder.with_suffix('.py')

    def load(self) -> None:
        """Read what the run cost, if it is done."""
        self.cost = read_training_cost(self.folder)
        is_scored = bool(self.cfg.get('val_evaluator'))
        if self.cost and is_scored and not any(map(math.isfinite, self.cost['metrics'].values())):
            self.failure = 'its last validation has no score.'


@dataclass
class Comparison:
    """All runs of a comparison, and the parameters and multiply-adds of each backbone.

    Args:
        config: The config's path or name.
        shape: The height and width in pixels at which multiply-adds are counted.
        runs: The runs.
        complexity: Parameters and multiply-adds of the whole model, by backbone; None if they cannot be counted.
        command: What makes it again.
    """

    config: str
    shape: tuple[int, int]
    runs: list[Run]
    complexity: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    command: str = ''

    @property
    def failed(self) -> list[Run]:
        """The runs that have failed."""
        return [run for run in self.runs if run.failure]
