"""Reports training samples that were replaced because one of their files cannot be read."""

from contextlib import suppress
from pathlib import Path

from mmengine.dist import all_gather_object, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from convnext_dense.datasets.unreadable import NOTES, count_samples
from convnext_dense.errors import UsageError
from convnext_dense.registry import HOOKS
from convnext_dense.wording import counted

FILE_NAME = 'unreadable_files.txt'
# A small dataset may have so many, whatever its fraction.
ALWAYS_ALLOWED = 3
# Processes tell each other at these steps only.
STEPS_BETWEEN_MESSAGES = 10
SHOWN = 3


@HOOKS.register_module()
class UnreadableFilesHook(Hook):
    """Warns once of each training sample whose files cannot be read, and ends the run if there are too many.

    Such a sample is replaced by another one: an image that is missing, damaged or of another size than its annotations,
    annotations that cannot be read, or a label map with values that are no classes. All are in
    ``unreadable_files.txt`` in the work dir. Samples of validation and testing are never replaced.

    Args:
        max_fraction: Which part of the dataset's samples may be replaced, from 0 to 1. Three always may, unless it is
            0: then the first one ends the run.

    Raises:
        UsageError: If there are more.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.UnreadableFilesHook', max_fraction=0.05)]
    """

    # Before all that reads batches.
    priority = 'VERY_HIGH'

    def __init__(self, max_fraction: float = 0.01) -> None:
        if not 0 <= max_fraction <= 1:
            raise UsageError(f'UnreadableFilesHook.max_fraction: got {max_fraction!r}; it is from 0 to 1.')
        self.max_fraction = max_fraction
        self._sentences: dict[str, str] = {}
        self._unreported: dict[str, str] = {}

    @property
    def replaces_samples(self) -> bool:
        """Whether any sample may be replaced."""
        return self.max_fraction > 0

    def state_dict(self) -> dict:
        """Return what was reported, for a checkpoint."""
        return dict(sentences=self._sentences)

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from what a checkpoint says was reported.

        Args:
            state_dict: What `state_dict` returned.
        """
        self._sentences = dict(state_dict['sentences'])

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | tuple | list | None = None) -> None:
        """Take the notes out of the batch, and report them."""
        if isinstance(data_batch, dict):
            self._unreported.update(data_batch.pop(NOTES, ()))
        if get_world_size() == 1:
            self._report(runner, self._unreported)
        elif (runner.iter + 1) % STEPS_BETWEEN_MESSAGES == 0:
            self._report_together(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Report what other processes have replaced."""
        if get_world_size() > 1:
            self._report_together(runner)

    def _report_together(self, runner: Runner) -> None:
        # All have the same afterwards, so that all of them end.
        for unreported in all_gather_object(dict(self._unreported)):
            self._unreported.update(unreported)
        self._report(runner, self._unreported)

    def _report(self, runner: Runner, found: dict[str, str]) -> None:
        count = len(self._sentences)
        new = {file: sentence for file, sentence in found.items() if file not in self._sentences}
        found.clear()
        if not new:
            return
        samples = count_samples(runner.train_dataloader.dataset)
        allowed = max(ALWAYS_ALLOWED, int(self.max_fraction * samples))
        rule = (
            f'{allowed} of {samples} samples may be replaced (UnreadableFilesHook.max_fraction={self.max_fraction:g})'
        )
        for file, sentence in new.items():
            self._sentences[file] = sentence
            count += 1
            runner.logger.warning(f'{sentence} Another sample takes its place ({count} so far; at most {rule}).')
        place = Path(runner.work_dir, FILE_NAME)
        if is_main_process():
            # The log has them, too.
            with suppress(OSError):
                place.write_text('\n'.join([*self._sentences.values(), '']))
        if count > allowed:
            last = ' '.join([*self._sentences.values()][-SHOWN:])
            raise UsageError(
                f'train_dataloader: {counted(count, "sample")} cannot be read, and at most {rule}. All are in '
                f'{place}; the last: '
                f'{last}'
            )
