"""A runner whose resumed runs equal those that were never stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from convnext_dense.training.loading.orphaned_workers import end_workers
from convnext_dense.training.resuming.module_state import note_attributes
from convnext_dense.training.resuming.schedule import follow_config, group_settings
from convnext_dense.training.resuming.seeking_loader import make_seeking
from convnext_dense.training.resuming.training_state import TRAINING_STATE, is_training_state, restore_hooks
from convnext_dense.training.unwrap import unwrap
from convnext_dense.weights.storage.files import read_file


class ExactResume(Runner):
    """A runner that seeds each sample, and keeps what a checkpoint holds of the run for its training loop.

    Mix it into a runner's class, and train with the loops of `convnext_dense.training.resuming.loops`.
    """

    resumed_state: dict[str, Any] | None = None

    @classmethod
    def build_dataloader(cls, *args: Any, **kwargs: Any) -> DataLoader:  # noqa: ANN401 - mmengine's
        """Build a dataloader that can begin at any batch."""
        loader = super().build_dataloader(*args, **kwargs)
        make_seeking(loader, kwargs.get('seed') or 0)
        return loader

    def load_checkpoint(self, filename: str, *args: Any, **kwargs: Any) -> dict:  # noqa: ANN401 - mmengine's
        """Load a checkpoint, and keep the state of its run if the run is resumed."""
        checkpoint = super().load_checkpoint(filename, *args, **kwargs)
        if self._resume:
            state = checkpoint.get(TRAINING_STATE)
            self.resumed_state = state if is_training_state(state) else None
        return checkpoint

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable = 'default',
    ) -> None:
        """Resume, by the checkpoint's schedule, or by the config's if its `resume_with` is 'config'."""
        groups = group_settings(self)
        super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
        if self.cfg.get('resume_with') == 'config':
            follow_config(self, groups)

    def train(self) -> nn.Module:
        """Train, if the run is resumed with the seed that it began with."""
        if self._resume and self._load_from and '://' not in self._load_from:
            # mmengine sets it when the datasets and samplers are built.
            seed = read_file(Path(self._load_from))['meta'].get('seed')
            if seed is not None:
                self._randomness_cfg.update(seed=seed)
                self.set_randomness(**self._randomness_cfg)
        try:
            return super().train()
        finally:
            for loop in (self._train_loop, self._val_loop):
                if isinstance(loop, BaseLoop):
                    end_workers(loop.dataloader)

    def load_or_resume(self) -> None:
        """Load or resume a checkpoint, after the model is initialized."""
        super().load_or_resume()
        restore_hooks(self)
        note_attributes(unwrap(self.model))
