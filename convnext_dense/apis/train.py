"""Trains and tests a config."""

import copy
import os
from pathlib import Path

import torch
import torch.distributed
from mmdet.evaluation import DumpDetResults
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from convnext_dense.config.load import (
    check_checkpoint,
    check_data,
    enable_tta,
    fit_to_device,
    save_pictures,
)
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.faster_coco_metric import use_faster_coco_eval
from convnext_dense.evaluation.strict_load_runner import EvaluationRunner

PICKLE_SUFFIXES = ('.pkl', '.pickle')


def train(cfg: Config) -> None:
    """Train a detector or segmenter, on the GPU if there is one.

    Args:
        cfg: As `load_config` returns it.

    Raises:
        UsageError: If the data is not there, or the config has none to train with.

    Example:
        >>> from convnext_dense.config import load_config
        >>> train(load_config('configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py'))  # doctest: +SKIP
    """
    if 'train_dataloader' not in cfg:
        raise UsageError('the config has no train_dataloader to train with.')
    check_data(cfg, 'train', 'val')
    build_runner(cfg).train()


def test(
    cfg: Config,
    checkpoint: str,
    out: str | None = None,
    show_dir: str | None = None,
    tta: bool = False,
) -> dict[str, float]:
    """Evaluate a checkpoint on the config's test set.

    Args:
        cfg: As `load_config` returns it.
        checkpoint: A file, or a URL.
        out: Where to save predictions: for a detector a pickle file, for a segmenter a folder of PNG maps.
        show_dir: Where to save pictures of the predictions.
        tta: Whether to test with augmentation.

    Returns:
        The metrics by name.

    Raises:
        UsageError: If the checkpoint or the data is not there, or `out` does not fit the task.
    """
    check_checkpoint(checkpoint, 'checkpoint')
    check_data(cfg, 'test')
    detects = cfg.default_scope == 'mmdet'
    if out and detects != out.endswith(PICKLE_SUFFIXES):
        kind = f'a file ending in {" or ".join(PICKLE_SUFFIXES)}' if detects else 'a folder'
        raise UsageError(f'--out: a config of {cfg.default_scope} saves its predictions to {kind}; got {out}.')
    cfg.load_from = checkpoint
    if show_dir:
        save_pictures(cfg, show_dir)
    if tta:
        enable_tta(cfg)
    if out and not detects:
        cfg.test_evaluator.output_dir = out
        cfg.test_evaluator.keep_results = True
    runner = build_runner(cfg, EvaluationRunner)
    if out and detects:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=out))
    return runner.test()


def build_runner(cfg: Config, runner: type[Runner] = Runner) -> Runner:
    """Return what trains and tests a config on this machine; the config itself stays for any machine.

    Args:
        cfg: As `load_config` returns it.
        runner: The runner's class.
    """
    device_cfg = copy.deepcopy(cfg)
    fit_to_device(device_cfg)
    # The numbers are the same, so a config need not ask for it.
    use_faster_coco_eval(device_cfg)
    if cfg.launcher == 'pytorch' and not torch.cuda.is_available():
        # mmengine's own start of the process group sets a GPU first.
        torch.distributed.init_process_group('gloo')
    os.environ.setdefault('LOCAL_RANK', '0')
    runner = runner.from_cfg(device_cfg)
    if is_main_process():
        # In place of what the runner wrote: the work dir's config is for any machine.
        cfg.dump(Path(cfg.work_dir) / Path(cfg.filename).name)
    return runner
