"""Compares the channels of images with what a model takes."""

import numpy as np

from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
from convnext_dense.wording import counted

COLORS = 3
# Transforms of these packages leave the channels as they are.
PACKAGES = ('mmcv', 'mmdet', 'mmseg')


class ChannelsCheck:
    """Compares the channels of a dataset's images with the model's.

    Args:
        plan: The run.
        dataset: One of its datasets.
    """

    def __init__(self, plan: RunPlan, dataset: PlannedDataset) -> None:
        model = plan.cfg.model
        self.in_channels = (model.get('backbone') or {}).get('in_channels', COLORS)
        preprocessor = model.get('data_preprocessor') or {}
        self.lengths = {name: len(preprocessor[name]) for name in ('mean', 'std') if preprocessor.get(name)}
        kinds = [kind for kind, _ in dataset.transforms]
        self.is_known = all(kind is not None and kind.__module__.split('.')[0] in PACKAGES for kind in kinds)

    def fault(self, image: np.ndarray) -> str | None:
        """Return what does not fit, as part of a sentence; None if all does or it is not known."""
        channels = image.shape[2] if image.ndim == 3 else 1
        has = f'the loader makes {counted(channels, "channel")} of it'
        if not self.is_known:
            return None
        if isinstance(self.in_channels, int) and self.in_channels != channels:
            return f'{has}, and model.backbone.in_channels is {self.in_channels}'
        for name, length in self.lengths.items():
            if length not in (1, channels):
                return f'{has}, and model.data_preprocessor.{name} has {counted(length, "value")}'
        return None
