"""Keeps what the last validation of a run found."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmengine.structures import BaseDataElement

from convnext_dense.config.data.replace import make_palette
from convnext_dense.errors import describe
from convnext_dense.evaluation.recording.record import RECORD_FILE, ValidationRecord, save_record
from convnext_dense.evaluation.recording.shown_images import stride
from convnext_dense.registry import HOOKS


@HOOKS.register_module()
class RecordValidationHook(Hook):
    """Writes what the latest validation found into ``last_validation.npz`` of the work dir, for a report.

    That is a detector's boxes, classes and scores with the objects that were to be found, or a segmenter's confusions;
    and what a few images have, to draw them. Of more than 10,000 images, as many are looked at. What it cannot keep is
    said in the log, and never ends a run. Hooks that have `after_validation_record` get the record, too.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.RecordValidationHook')]
    """

    # After the scores are logged, and the checkpoint is written.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._recorder: Any = None
        self._indices: dict[object, int] = {}
        self._failure = ''

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin."""
        self._recorder, self._failure = None, ''

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: Sequence[BaseDataElement] | None = None,
    ) -> None:
        """Keep what was found in a batch."""
        if self._failure:
            return
        try:
            for sample in outputs or ():
                self._add(runner, sample)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
            self._failure = describe(error)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the file."""
        # All processes take part, whatever failed in one of them.
        states = all_gather_object((self._failure, self._recorder and self._recorder.state()))
        if not is_main_process():
            return
        try:
            failure = next((failure for failure, _ in states if failure), '')
            if not failure and self._recorder:
                for _, state in states[1:]:
                    if state:
                        self._recorder.merge(state)
                record = self._record(runner, metrics or {})
                save_record(record, Path(runner.work_dir, RECORD_FILE))
                runner.call_hook('after_validation_record', record=record)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
            failure = describe(error)
        if failure:
            runner.logger.warning(f'The report will not show what this validation found: {failure}')
        self._recorder = None

    def _add(self, runner: Runner, sample: BaseDataElement) -> None:
        dataset: Any = runner.val_loop.dataloader.dataset
        if self._recorder is None:
            self._recorder = self._make(runner, dataset, sample)
            self._indices = _indices(dataset)
        if self._recorder:
            index = self._indices.get(sample.get('img_path'), self._indices.get(sample.get('img_id')))
            if index is not None and index not in self._recorder.scores:
                info = dataset.get_data_info(index)
                path = info.get('img_path') or ''
                self._recorder.add(index, path if '://' in path else os.path.abspath(path), info, sample)

    def _make(self, runner: Runner, dataset: Any, sample: BaseDataElement) -> object:  # noqa: ANN401
        """Return what keeps predictions of this kind; False if there is nothing to keep."""
        if not hasattr(dataset, 'get_data_info'):
            return False
        if 'pred_sem_seg' in sample and 'gt_sem_seg' in sample:
            from convnext_dense.evaluation.recording.label_maps import LabelMapRecorder

            ignored = [getattr(metric, 'ignore_index', None) for metric in runner.val_loop.evaluator.metrics]
            ignored = next((value for value in ignored if value is not None), 255)
            return LabelMapRecorder(len(dataset), len(classes_of(dataset)[0]), ignored)
        instances = sample.get('pred_instances')
        if instances is not None and 'bboxes' in instances and 'scores' in instances:
            boxes = getattr(instances.bboxes, 'tensor', instances.bboxes)
            if boxes.shape[-1] == 4:
                from convnext_dense.evaluation.recording.detections import DetectionRecorder

                return DetectionRecorder(len(dataset), _areas(runner.val_loop.evaluator.metrics))
        return False

    def _record(self, runner: Runner, metrics: dict[str, float]) -> ValidationRecord:
        dataset: Any = runner.val_loop.dataloader.dataset
        recorder = self._recorder
        classes, colors = classes_of(dataset)
        # mmseg's are NumPy's.
        numbers = {name: float(value) for name, value in metrics.items() if isinstance(value, int | float | np.number)}
        scores = np.array([recorder.scores[index] for index in sorted(recorder.scores)], np.float32)
        return ValidationRecord(
            classes=classes,
            colors=colors,
            place=_place(runner),
            metrics=numbers,
            images=len(scores),
            images_in_all=len(dataset),
            image_scores=scores,
            shown=recorder.shown.images(),
            **(
                dict(arrays=recorder.arrays)
                if hasattr(recorder, 'arrays')
                else dict(truth=recorder.boxes('truth'), found=recorder.boxes('found'))
            ),
        )


def _place(runner: Runner) -> str:
    loop = runner._train_loop
    # Hooks may have built the loop of a run that trains nothing.
    if not isinstance(loop, BaseLoop) or not runner.iter:
        return Path(runner._load_from or 'random weights').name
    return f'step {runner.iter}' if hasattr(loop, 'dataloader_iterator') else f'epoch {runner.epoch}'


def _indices(dataset: Any) -> dict[object, int]:  # noqa: ANN401 - PyTorch's type has no length
    """Return the numbers of the images to look at, by their paths and ids."""
    indices: dict[object, int] = {}
    for index in range(0, len(dataset), stride(len(dataset))):
        info = dataset.get_data_info(index)
        for key in (info.get('img_path'), info.get('img_id')):
            if key is not None:
                indices.setdefault(key, index)
    return indices


def classes_of(dataset: Any) -> tuple[list[str], list[tuple[int, ...]]]:  # noqa: ANN401 - PyTorch's type has no metainfo
    """Return the names and the colors of a dataset's classes.

    Args:
        dataset: The dataset.

    Example:
        >>> from types import SimpleNamespace
        >>> classes_of(SimpleNamespace(metainfo=dict(classes=('cat',), palette=[(255, 0, 0)])))
        (['cat'], [(255, 0, 0)])
    """
    meta = dataset.metainfo
    classes = [str(name) for name in meta.get('classes') or ()]
    palette = meta.get('palette')
    if not isinstance(palette, list | tuple) or len(palette) < len(classes):
        palette = make_palette(len(classes))
    return classes, [tuple(int(part) for part in color) for color in palette[: len(classes)]]


def _areas(metrics: Sequence[object]) -> Callable[[object], dict[tuple, float]]:
    """Return what finds COCO's areas of an image's objects by their boxes, if a metric has read them."""
    coco: Any = next((found for metric in metrics if (found := getattr(metric, '_coco_api', None)) is not None), None)
    objects = getattr(coco, 'imgToAnns', {})

    def find(image: object) -> dict[tuple, float]:
        found = {}
        for part in objects.get(image, []):
            if part.get('area') and len(part.get('bbox') or ()) == 4:
                x, y, width, height = part['bbox']
                found[x, y, x + width, y + height] = part['area']
        return found

    return find
