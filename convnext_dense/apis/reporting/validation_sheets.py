"""Draws what each validation of a training finds in the same few images."""

from pathlib import Path

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization import LocalVisBackend, MLflowVisBackend
from PIL import Image

from convnext_dense.errors import describe
from convnext_dense.evaluation.output_files import write_whole
from convnext_dense.evaluation.recording.record import ValidationRecord
from convnext_dense.hooks.panel.figures import shown_scores
from convnext_dense.reports.run.validation_sheet import validation_sheet

FOLDER = 'validation'
QUALITY = 88


class ValidationSheetsHook(Hook):
    """Draws the same few images after each validation, with truth and prediction, from what it has found already.

    The sheet is ``validation/epoch_3.jpg`` of the work dir, and goes to TensorBoard and what else the run logs to. What
    cannot be drawn is said in the log, and never ends a run. It needs `RecordValidationHook`, and is called in the main
    process alone.
    """

    def after_validation_record(self, runner: Runner, record: ValidationRecord) -> None:
        """Draw a sheet."""
        try:
            sheet = validation_sheet(record, shown_scores(runner.cfg, list(record.metrics)))
            if sheet is not None:
                _keep(runner, sheet, record.place.replace(' ', '_'))
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
            runner.logger.warning(f'The images of this validation are not drawn: {describe(error)}')


def _keep(runner: Runner, sheet: Image.Image, name: str) -> None:
    with write_whole(Path(runner.work_dir, FOLDER, f'{name}.jpg'), 'work_dir') as partial:
        sheet.save(partial, 'JPEG', quality=QUALITY)
    for backend in runner.visualizer._vis_backends.values():
        # The local one would write it again, as PNG.
        if not isinstance(backend, LocalVisBackend):
            # MLflow keeps files.
            title = f'{FOLDER}/{name}.png' if isinstance(backend, MLflowVisBackend) else FOLDER
            backend.add_image(title, np.asarray(sheet), runner.iter)
