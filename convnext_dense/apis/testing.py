"""Evaluates a checkpoint."""

from collections.abc import Collection
from pathlib import Path

from mmdet.evaluation import DumpDetResults
from mmengine.config import Config

from convnext_dense.apis.run_errors import errors_as_sentences
from convnext_dense.apis.runner import build_runner
from convnext_dense.checks import RunPlan, check_run
from convnext_dense.config.data_places import check_data
from convnext_dense.config.options import check_checkpoint
from convnext_dense.config.testing import enable_tta, save_visualizations
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.strict_load_runner import StrictLoadRunner

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
        The metrics by name.

    Raises:
        UsageError: If the checkpoint or the data is not there, or `out` does not fit the task.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('upernet_convnext-t_8xb2-amp-160k_ade20k-512x512')
        >>> test(cfg, 'upernet_convnext_tiny_in1k_ade20k')  # doctest: +SKIP
    """
    check_checkpoint(checkpoint, 'checkpoint')
    check_data(cfg, 'test')
    check_run(RunPlan(cfg, ('test',), checkpoint), skip_check)
    is_detector = cfg.default_scope == 'mmdet'
    if out and is_detector != out.endswith(PICKLE_SUFFIXES):
        kind = f'a file ending in {" or ".join(PICKLE_SUFFIXES)}' if is_detector else 'a folder'
        raise UsageError(f'out: a config of {cfg.default_scope} saves its predictions to {kind}; got {out}.')
    cfg.load_from = checkpoint
    if show_dir:
        save_visualizations(cfg, show_dir)
    if tta:
        enable_tta(cfg)
    if out and not is_detector:
        cfg.test_evaluator.output_dir = out
        cfg.test_evaluator.keep_results = True
    with errors_as_sentences(cfg):
        runner = build_runner(cfg, StrictLoadRunner)
        if out and is_detector:
            Path(out).parent.mkdir(parents=True, exist_ok=True)
            runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=out))
        return runner.test()


# pytest must not take it for a test where it is imported by name.
test.__test__ = False
