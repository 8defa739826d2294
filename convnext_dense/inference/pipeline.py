"""A config's test pipeline for images that come without annotations, from files or from memory."""

import copy
from typing import Any

import numpy as np
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import DefaultScope

from convnext_dense.config.tree import bare_type, leaf_datasets
from convnext_dense.datasets.checked_loading import check_dataset_while_loading
from convnext_dense.errors import UsageError
from convnext_dense.inference.inputs import ImageInput

# What mmdet's and mmseg's datasets put into each sample, and their packing transforms may ask for.
SAMPLE = dict(img_id=0, reduce_zero_label=False, seg_fields=[])


class PredictPipeline:
    """Makes of an image what the model is fed in a test.

    Args:
        cfg: The model's config.

    Raises:
        UsageError: If it has no test pipeline that begins with an image.
    """

    def __init__(self, cfg: Config) -> None:
        loader = cfg.get('test_dataloader') or cfg.get('val_dataloader') or {}
        leaves = leaf_datasets(copy.deepcopy(loader.get('dataset') or {}))
        steps = [step for step in leaves[0].get('pipeline') or [] if not _loads_annotations(step)]
        loads = [i for i, step in enumerate(steps) if bare_type(step.get('type')).startswith('LoadImage')]
        if not loads:
            raise UsageError('model: the config has no test_dataloader with a pipeline that loads an image.')
        self.loader = dict(steps[loads[0]])
        self.has_plain_loader = bare_type(self.loader.get('type')) == 'LoadImageFromFile'
        checked = dict(pipeline=[self.loader])
        check_dataset_while_loading(checked, cfg, 'test')
        self.load = Compose(checked['pipeline'])
        self.rest = Compose(steps[loads[0] + 1 :])
        self.scope = cfg.default_scope

    def __call__(self, image: ImageInput) -> dict[str, Any]:
        """Return what a loader's dataset would: `inputs` and `data_samples`.

        Args:
            image: The image.

        Raises:
            UsageError: If it cannot be read, or the pipeline cannot use it.
        """
        with DefaultScope.overwrite_default_scope(self.scope):
            loaded = self.load(dict(SAMPLE, img_path=image.path)) if image.path else self._loaded(image)
            try:
                return self.rest(loaded)
            except UsageError:
                raise
            except Exception as error:
                raise UsageError(f'{image.name}: the test pipeline cannot use it: {error}.') from error

    def _loaded(self, image: ImageInput) -> dict[str, Any]:
        """Return what the loader would return for a file."""
        if not self.has_plain_loader or self.loader.get('color_type', 'color') != 'color':
            raise UsageError(
                f'inputs: {image.name}: the config loads images by {self.loader["type"]}, of '
                f'{self.loader.get("color_type", "another form")}; give it files.'
            )
        pixels = np.ascontiguousarray(image.pixels)
        if self.loader.get('to_float32'):
            pixels = pixels.astype(np.float32)
        shape = pixels.shape[:2]
        return dict(SAMPLE, img=pixels, img_path=image.name, img_shape=shape, ori_shape=shape)


def _loads_annotations(step: dict) -> bool:
    name = bare_type(step.get('type'))
    return name.startswith('Load') and 'Annotation' in name
