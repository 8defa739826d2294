"""Ends a training whose score no longer improves."""

from mmengine.hooks import CheckpointHook
from mmengine.hooks import EarlyStoppingHook as _EarlyStoppingHook
from mmengine.runner import Runner

from convnext_dense.registry import HOOKS
from convnext_dense.training.quiet_start import SHOWN_AT_START
from convnext_dense.wording import counted


@HOOKS.register_module()
class EarlyStoppingHook(_EarlyStoppingHook):
    """mmengine's hook, which a resumed run takes up where it was.

    It counts before the checkpoint of a better score is written, so that this has the count. Where it ends the
    training, it has the checkpoint hook save, so that nothing is lost, and a run that is resumed from there ends at
    once.

    Its arguments are those of mmengine's hook: `monitor`, `rule`, `min_delta`, `patience` and so on.

    Example:
        >>> hook = EarlyStoppingHook(monitor='coco/bbox_mAP', min_delta=0.001, patience=3)
        >>> hook.load_state_dict(dict(wait_count=2, best_score=0.41))
        >>> hook.state_dict()
        {'wait_count': 2, 'best_score': 0.41}
    """

    # After EMAHook, before CheckpointHook.
    priority = 'LOW'

    def state_dict(self) -> dict[str, float]:
        """Return for how many validations it has waited, and for a score better than which."""
        return dict(wait_count=self.wait_count, best_score=float(self.best_score))

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take up what `state_dict` returned."""
        self.wait_count, self.best_score = int(state['wait_count']), float(state['best_score'])

    def before_run(self, runner: Runner) -> None:
        """Do nothing; mmengine's hook wants a loop of training here, which a test has none of."""

    def before_train(self, runner: Runner) -> None:
        """End a training that is resumed from where it was ended."""
        if self.wait_count >= self.patience:
            runner.train_loop.stop_training = True
            runner.logger.info(
                f'The run was ended early, after {counted(self.wait_count, "validation")} without a better '
                f'{self.monitor} than '
                f'{self.best_score:.4g}; there is nothing to resume. A larger patience goes on.',
                extra=SHOWN_AT_START,
            )

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Compare the score with the best one, and end the training if it is time."""
        super().after_val_epoch(runner, metrics)
        if not getattr(runner._train_loop, 'stop_training', False):
            return
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                count = runner.epoch if hook.by_epoch else runner.iter
                hook._save_checkpoint_with_step(runner, count, dict(epoch=runner.epoch, iter=runner.iter))
