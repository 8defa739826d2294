"""Tells that a training has nothing to learn from."""

from collections.abc import Mapping

from mmengine.dataset import InfiniteSampler
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import IterableDataset

from convnext_dense.errors import RunError, UsageError
from convnext_dense.registry import HOOKS
from convnext_dense.training.quiet_start import FILE_ONLY
from convnext_dense.training.unwrap import unwrap
from convnext_dense.wording import counted

STEPS_BEFORE_WARNING = 10
STEPS_BEFORE_ERROR = 200
OBJECT = 'an object that is not ignored'
PIXEL = 'a pixel that is not ignored'
HINTS = {
    OBJECT: 'look for iscrowd in the annotations, and for a pipeline that drops objects.',
    PIXEL: 'look at reduce_zero_label, at ignore_index, and at the values of the label maps.',
}


@HOOKS.register_module()
class TargetsHook(Hook):
    """Ends training with a sentence if no batch has an object, or a pixel that is not ignored.

    It looks at batches until one has something to learn: in a run that is right, at the first. It warns after 10
    batches without, and ends the run after 200, or at the end of an epoch or of training.

    Raises:
        UsageError: If the dataloader gives no batch.
        RunError: If nothing was there to be learned.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.TargetsHook')]
    """

    def __init__(self) -> None:
        self._is_watching = True
        self._batches = 0
        self._kind = ''

    def before_train(self, runner: Runner) -> None:
        """Look at the length of the dataloader."""
        loader = runner.train_dataloader
        # An infinite sampler gives batches whatever its length is.
        if isinstance(loader.dataset, IterableDataset) or isinstance(loader.sampler, InfiniteSampler) or len(loader):
            return
        size = getattr(loader.batch_sampler, 'batch_size', loader.batch_size)
        raise UsageError(
            f'train_dataloader: it gives no batch; its dataset has {counted(len(loader.dataset), "sample")}, and '
            'it drops a batch '
            f'of fewer than batch_size={size}.'
        )

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Look at a batch, as long as none had anything to learn."""
        if not self._is_watching:
            return
        self._kind, has_target = _find_target(data_batch, _ignore_index(runner.model))
        # What is of no kind that is known here is not watched.
        self._is_watching = bool(self._kind) and not has_target
        if not self._is_watching:
            return
        self._batches += 1
        if self._batches == STEPS_BEFORE_WARNING:
            runner.logger.warning(f'None of the first {self._batches} batches has {self._kind}; {HINTS[self._kind]}')
        if self._batches == STEPS_BEFORE_ERROR:
            self._end(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """End the run before it saves what has learned nothing."""
        if self._is_watching and self._batches:
            self._end(runner)

    def _end(self, runner: Runner) -> None:
        message = f'nothing was learned: none of {self._batches} batches has {self._kind}; {HINTS[self._kind]}'
        runner.logger.error(message, extra=FILE_ONLY)
        raise RunError(message)


def _find_target(data_batch: object, ignore_index: int) -> tuple[str, bool]:
    """Return what a batch is to be learned from, '' if that is not known, and whether it has any."""
    kind = ''
    for sample in (isinstance(data_batch, Mapping) and data_batch.get('data_samples')) or []:
        objects, pixels = getattr(sample, 'gt_instances', None), getattr(sample, 'gt_sem_seg', None)
        if objects is None and pixels is None:
            return '', False
        kind = PIXEL if objects is None else OBJECT
        # mmseg's name, and mmdet's.
        labels = None if pixels is None else pixels.get('data', pixels.get('sem_seg'))
        if objects is not None and len(objects):
            return kind, True
        if labels is not None and bool((labels != ignore_index).any()):
            return kind, True
    return kind, False


def _ignore_index(model: nn.Module) -> int:
    head = getattr(unwrap(model), 'decode_head', None)
    return getattr(head[-1] if isinstance(head, nn.ModuleList) else head, 'ignore_index', 255)
