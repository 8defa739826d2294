"""Ends a test whose model predicts NaN."""

from collections.abc import Iterator, Sequence
from functools import partial

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from convnext_dense.errors import UsageError
from convnext_dense.training.unwrap import unwrap

# What a head's layers end in, if the head itself is not called: mmseg's decoders.
LAST_LAYER = 'conv_seg'


class FinitePredictionsHook(Hook):
    """Ends a test with an error if a head of the model gives NaN.

    Otherwise a segmenter predicts its first class where it gives NaN, and a detector nothing, and both get a score.

    Raises:
        UsageError: At the first such image.

    Example:
        >>> runner.register_hook(FinitePredictionsHook())  # doctest: +SKIP
    """

    # Before others write the predictions.
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self.watch = HeadWatch()

    def before_test(self, runner: Runner) -> None:
        """Watch the heads."""
        self.watch.start(unwrap(runner.model))

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: Sequence[BaseDataElement] | None = None,
    ) -> None:
        """Look at what the heads gave for a batch, and at a segmenter's logits."""
        samples = outputs or ()
        if source := self.watch.look(samples):
            images = ', '.join(str(sample.get('img_path', batch_idx)) for sample in samples)
            raise UsageError(
                f'checkpoint {runner._load_from}: its predictions for {images} are NaN ({source}); the weights or '
                'the image hold NaN, or values beyond the range of their type. Nothing was scored.'
            )


class HeadWatch:
    """Notes which head of a model gives NaN."""

    def __init__(self) -> None:
        self.source = ''

    def start(self, model: nn.Module) -> None:
        """Watch the heads.

        Args:
            model: The model.
        """
        self.source = ''
        for name, module in model.named_modules():
            if type(module).__name__.endswith('Head') or name.endswith(LAST_LAYER):
                module.register_forward_hook(partial(self._look, name))

    def look(self, samples: Sequence[BaseDataElement]) -> str:
        """Return what has given NaN; '' if nothing has.

        Args:
            samples: The predictions, of which a segmenter's logits are looked at, too.
        """
        if not self.source and any(has_nan(sample.seg_logits.data) for sample in samples if 'seg_logits' in sample):
            self.source = 'seg_logits'
        return self.source

    def _look(self, name: str, module: nn.Module, inputs: object, outputs: object) -> None:
        if not self.source and any(map(has_nan, _tensors(outputs))):
            self.source = name


def has_nan(tensor: Tensor) -> bool:
    """Return whether a tensor holds NaN.

    Args:
        tensor: A tensor of any type.

    Example:
        >>> import torch
        >>> has_nan(torch.tensor([1.0, float('nan')])), has_nan(torch.tensor([float('inf'), -float('inf')]))
        (True, False)
    """
    # A sum reads the values once and needs no memory. Infinities of both signs have none either.
    return tensor.is_floating_point() and bool(tensor.sum().isnan()) and bool(tensor.isnan().any())


def _tensors(outputs: object) -> Iterator[Tensor]:
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, dict | list | tuple):
        for part in outputs.values() if isinstance(outputs, dict) else outputs:
            yield from _tensors(part)
