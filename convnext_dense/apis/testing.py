"""Evaluates a checkpoint."""

from collections.abc import Collection

from mmengine.config import Config
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.logging import print_log
from mmengine.runner import Runner

from convnext_dense.apis.errors.run_errors import errors_as_sentences
from convnext_dense.apis.runner import build_runner
from convnext_dense.checks import RunPlan, check_run
from convnext_dense.config.machine import check_folder, check_output_file
from convnext_dense.config.options import check_checkpoint
from convnext_dense.config.testing import enable_tta, leave_out_label_maps, missing_label_maps
from convnext_dense.datasets.checked_loading import is_a
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.finite_predictions import FinitePredictionsHook
from convnext_dense.evaluation.save_label_maps import SaveLabelMapsHook
from convnext_dense.evaluation.strict_load_runner import StrictLoadRunner
from convnext_dense.inference.saving.draw_predictions import DrawPredictionsHook
from convnext_dense.results.result import SCORE

PICKLE_SUFFIXES = ('.pkl', '.pickle')


def test(
    cfg: Config,
    checkpoint: str,
    out: str | None = None,
    show_dir: str | None = None,
    tta: bool = False,
    skip_check: Collection[str] = (),
) -> dict[str, float]:
    """Evaluate a checkpoint on the config's test set.

    Args:
        cfg: As `load_config` returns it.
        checkpoint: A file, an address, or a published name.
        out: Where to save predictions: for a detector a pickle file, for a segmenter a folder of PNG maps.
        show_dir: Where to save drawn predictions.
        tta: Whether to test with augmentation.
        skip_check: Names of checks to leave out, as in `check_run`.

    Returns:
        The metrics by name; {} if the test set has nothing to score, and the predictions are saved or drawn alone.

    Raises:
        UsageError: If the checkpoint or the data is not there, `out` does not fit the task, something cannot be
            written, or the model predicts NaN.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('upernet_convnext-t_8xb2-amp-160k_ade20k-512x512')
        >>> test(cfg, 'upernet_convnext_tiny_in1k_ade20k')  # doctest: +SKIP
    """
    if not (cfg.get('test_dataloader') or {}).get('dataset'):
        raise UsageError('the config has no test_dataloader.dataset to test on.')
    check_checkpoint(checkpoint, 'checkpoint')
    _check_places(cfg, out, show_dir)
    is_saved = bool(out or show_dir)
    if place := missing_label_maps(cfg):
        _skip_scores(place, is_saved)
        leave_out_label_maps(cfg)
    check_run(RunPlan(cfg, ('test',), checkpoint), skip_check)
    cfg.load_from = checkpoint
    if tta:
        enable_tta(cfg)
    with errors_as_sentences(cfg):
        runner = build_runner(cfg, StrictLoadRunner, skip_check)
        _check_evaluator(runner, is_saved)
        runner.register_hook(FinitePredictionsHook())
        _save_predictions(runner, out, show_dir)
        return runner.test()


def _check_places(cfg: Config, out: str | None, show_dir: str | None) -> None:
    """Raise UsageError if something cannot be written, before anything is predicted."""
    is_detector = cfg.default_scope == 'mmdet'
    if out and is_detector != out.endswith(PICKLE_SUFFIXES):
        kind = f'a file ending in {" or ".join(PICKLE_SUFFIXES)}' if is_detector else 'a folder'
        raise UsageError(f'out: a config of {cfg.default_scope} saves its predictions to {kind}; got {out}.')
    check_folder(show_dir, 'show_dir')
    (check_output_file if is_detector else check_folder)(out, 'out')


def _skip_scores(place: str, is_saved: bool) -> None:
    if not is_saved:
        raise UsageError(f'{place}, so there is nothing to score; give show_dir, or out, to predict alone.')
    print_log(f'{place}: the predictions are saved, and nothing is scored.', logger='current')


def _check_evaluator(runner: Runner, is_saved: bool) -> None:
    """Leave out metrics of a test set without annotations."""
    evaluator = runner.test_evaluator
    for metric in list(evaluator.metrics):
        # MultiDatasetsEvaluator needs a metric for each dataset.
        # By name, so that mmdet is not imported for a segmenter's run.
        if is_a(type(metric), 'mmdet.CocoMetric') and type(evaluator) is Evaluator and _has_nothing_to_score(metric):
            _skip_scores('test_evaluator.ann_file has no annotations', is_saved)
            evaluator.metrics.remove(metric)


def _has_nothing_to_score(metric: BaseMetric) -> bool:
    truth = metric._coco_api
    return truth is not None and not metric.format_only and not truth.dataset.get('annotations')


def _save_predictions(runner: Runner, out: str | None, show_dir: str | None) -> None:
    is_detector = runner.cfg.default_scope == 'mmdet'
    if out and is_detector:
        # Imported here because it imports mmdet.
        from convnext_dense.evaluation.save_detections import SaveDetectionsHook

        runner.register_hook(SaveDetectionsHook(out))
    elif out:
        runner.register_hook(SaveLabelMapsHook(out))
    if show_dir:
        # The config's own hook may draw from another score on, or read the images elsewhere.
        given = runner.cfg.get('default_hooks', {}).get('visualization') or {}
        score, suffix = given.get('score_thr', SCORE), None if is_detector else '.png'
        runner.register_hook(DrawPredictionsHook(show_dir, suffix, score, given.get('backend_args')))


# pytest must not take it for a test where it is imported by name.
test.__test__ = False
