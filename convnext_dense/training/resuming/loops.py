"""Training loops that go on at the step where a run was stopped."""

from typing import Any

from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch import nn

from convnext_dense.registry import LOOPS
from convnext_dense.training.resuming.rng import rng_state, set_rng_state
from convnext_dense.training.resuming.seeking_loader import SeekingLoader
from convnext_dense.training.resuming.training_state import Progress, restore_state


class _Validating:
    """A training loop that validates without a trace in what is trained."""

    def validate_if_due(self) -> None:
        """Validate, if it is the end of an epoch, or a step, after which the config validates."""
        self._decide_current_val_interval()
        val_loop = self.runner.val_loop
        if val_loop is None or not self.is_validation_due():
            return
        self.progress.rng_before_validation = rng_state()
        val_loop.run()
        set_rng_state(self.progress.rng_before_validation)
        self.progress.rng_before_validation = None
        self.progress.has_validated = True

    def resume(self, may_be_due: bool) -> None:
        """Restore what a checkpoint holds of the run, and make up for a validation that it was saved before.

        Args:
            may_be_due: Whether the checkpoint's step is one after which the loop looks whether to validate.
        """
        is_resumed = restore_state(self.runner, self.progress)
        at_boundary = may_be_due and not self.progress.batch
        if is_resumed and at_boundary and not self.progress.has_validated:
            self.validate_if_due()


@LOOPS.register_module()
class EpochLoop(_Validating, EpochBasedTrainLoop):
    """mmengine's loop by epochs, which resumes in the middle of an epoch, too, and reads no batch again.

    Example:
        >>> train_cfg = dict(type='convnext_dense.EpochLoop', max_epochs=12)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - mmengine's
        super().__init__(*args, **kwargs)
        self.progress = Progress()

    def is_validation_due(self) -> bool:
        """Return whether the config validates after as many epochs as are done."""
        is_last = self._epoch == self._max_epochs
        return self._epoch >= self.val_begin and (self._epoch % self.val_interval == 0 or is_last)

    def run(self) -> nn.Module:
        """Train."""
        self.runner.call_hook('before_train')
        self.resume(may_be_due=self._epoch > 0)
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self.validate_if_due()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Train for an epoch, or for what is left of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        first = self.progress.batch
        # It may be wrapped, by PrefetchHook.
        if hasattr(self.dataloader, 'seek_in_epoch'):
            self.dataloader.seek_in_epoch(self._epoch, first)
        for idx, batch in enumerate(self.dataloader, start=first):
            self.progress.has_validated = False
            self.progress.batch = idx + 1
            self.run_iter(idx, batch)
        self.progress.batch = 0
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


@LOOPS.register_module()
class IterLoop(_Validating, IterBasedTrainLoop):
    """mmengine's loop by steps, which reads no batch again when it resumes.

    Example:
        >>> train_cfg = dict(type='convnext_dense.IterLoop', max_iters=160000)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - mmengine's
        super().__init__(*args, **kwargs)
        self.progress = Progress()
        if isinstance(self.dataloader, SeekingLoader):
            # mmengine's own sleeps for two seconds whenever the data is through.
            self.dataloader_iterator: Any = self.dataloader.over_and_over()

    def is_validation_due(self) -> bool:
        """Return whether the config validates after as many steps as are done."""
        is_last = self._iter == self._max_iters
        return self._iter >= self.val_begin and (self._iter % self.val_interval == 0 or is_last)

    def run(self) -> nn.Module:  # pyrefly: ignore[bad-override]
        """Train."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self._skip_what_is_done()
        self.resume(may_be_due=self._iter > 0)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            batch = next(self.dataloader_iterator)
            self.progress.has_validated = False
            self.run_iter(batch)
            self.validate_if_due()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _skip_what_is_done(self) -> None:
        if not self._iter:
            return
        if isinstance(self.dataloader, SeekingLoader):
            self.dataloader.seek(self._iter)
            return
        print_log(f'Reading {self._iter} batches that were trained before; their dataset cannot seek.', 'current')
        for _ in range(self._iter):
            next(self.dataloader_iterator)
