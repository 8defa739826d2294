"""Loads a config, and applies to it what the command-line flags ask for."""

import importlib.util
import os
import re
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from convnext_dense.config.backbone.swap import set_backbone
from convnext_dense.errors import UsageError
from convnext_dense.weights.published import PUBLISHED

REMOTE = '://'
# Stands between a package and a config in it.
PACKAGE = '::'
# What PackDetInputs keeps unless told otherwise, as far as merging needs it.
META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
# What running a config's Python, and merging it with its bases, can end in.
CONFIG_ERRORS = (
    SyntaxError,
    NameError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    ImportError,
    OSError,
    AssertionError,
)


def load_config(
    path: str,
    work_dir: str | None = None,
    cfg_options: dict | None = None,
    launcher: str = 'none',
    backbone: str | None = None,
    pretrained: bool = True,
) -> Config:
    """Load a config of this package's, of mmdet's or mmseg's, or of the user's.

    Args:
        path: The config's file; or its name in a package, such as ``mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py``.
        work_dir: Where logs and checkpoints go. Defaults to the config's own, then to ``work_dirs/<config name>``,
            with the backbone's name behind it where one is given.
        cfg_options: Keys to change, such as ``{'train_dataloader.batch_size': 4}``, after the backbone.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        backbone: The name of a backbone to put into the config, as in `set_backbone`.
        pretrained: Whether that backbone starts from published weights.

    Raises:
        UsageError: If there is no such file, it cannot be read as a config, or the backbone does not fit it.

    Example:
        >>> cfg = load_config('configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py')
        >>> cfg.model.type
        'MaskRCNN'
    """
    path = _config_file(path)
    if not Path(path).is_file():
        raise UsageError(f'config: there is no file {path}.')
    try:
        cfg = Config.fromfile(path)
    except CONFIG_ERRORS as error:
        raise UsageError(f'config {path}: {type(error).__name__}: {error}') from error
    for key in ('model', 'default_scope'):
        if key not in cfg:
            raise UsageError(f'config {path} has no {key!r}; it must be a whole config of mmdet or mmseg style.')
    if backbone:
        set_backbone(cfg, backbone, pretrained)
    try:
        cfg.merge_from_dict(cfg_options or {})
    except CONFIG_ERRORS as error:
        raise UsageError(f'--cfg-options: {type(error).__name__}: {error}') from error
    cfg.launcher = launcher
    default = Path(path).stem + (f'_{file_name(backbone)}' if backbone else '')
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs') / default)
    return cfg


def _config_file(path: str) -> str:
    """Return the file of a config that is named as in `_base_`; another path stays."""
    package, separator, name = path.partition(PACKAGE)
    if not separator:
        return path
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UsageError(f'config {path}: there is no package {package}.')
    return str(Path(spec.origin).parent / '.mim' / 'configs' / name)


def file_name(backbone: str) -> str:
    """Return a backbone's name as a part of a file's.

    Example:
        >>> file_name('mmdet/ResNet(depth=101)')
        'mmdet-ResNet-depth-101'
    """
    return re.sub(r'[^A-Za-z0-9._]+', '-', backbone).strip('-')


def check_data(cfg: Config, *splits: str) -> None:
    """Raise UsageError if what the dataloaders and evaluators read is a local path that is not there.

    Args:
        cfg: The config.
        splits: Of 'train', 'val' and 'test'.

    Example:
        >>> from mmengine.config import Config
        >>> check_data(Config(dict(test_dataloader=dict(dataset=dict(data_root='/')))), 'test')
    """
    for split in splits:
        key = f'{split}_dataloader.dataset'
        dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset', {})
        # Wrappers such as RepeatDataset hold the dataset itself.
        while 'dataset' in dataset:
            dataset, key = dataset['dataset'], f'{key}.dataset'
        _check_path(dataset, 'data_root', key)
        for evaluator in _evaluators(cfg, split):
            _check_path(evaluator, 'ann_file', f'{split}_evaluator')


def _evaluators(cfg: Config, split: str) -> list[dict]:
    evaluators = cfg.get(f'{split}_evaluator') or []
    return evaluators if isinstance(evaluators, list) else [evaluators]


def _check_path(holder: dict, name: str, key: str) -> None:
    path = holder.get(name)
    # A backend may map the path to where it can reach it.
    if not path or REMOTE in path or holder.get('backend_args') or Path(path).exists():
        return
    raise UsageError(
        f'{key}.{name}: there is no {path}; put the dataset there, '
        f'or give its place by --cfg-options {key}.{name}=PATH.'
    )


def enable_amp(cfg: Config) -> None:
    """Train in mixed precision with dynamic loss scaling.

    Raises:
        UsageError: If the config has no optim_wrapper.
    """
    if 'optim_wrapper' not in cfg:
        raise UsageError('--amp: the config has no optim_wrapper, which trains in mixed precision.')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.loss_scale = 'dynamic'


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate with the batch size.

    Raises:
        UsageError: If the config does not say for which batch size its learning rate is.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise UsageError(
            '--auto-scale-lr: the config has no auto_scale_lr.base_batch_size, the batch size that its lr is for; '
            'give it by --cfg-options auto_scale_lr.base_batch_size=N.'
        )
    cfg.auto_scale_lr.enable = True


def set_resume(cfg: Config, checkpoint: str) -> None:
    """Go on from a checkpoint.

    Args:
        cfg: The config.
        checkpoint: A file, or 'auto' for the latest in the work directory; with none there, training starts anew.

    Raises:
        UsageError: If there is no such file.
    """
    cfg.resume = True
    cfg.load_from = None
    if checkpoint != 'auto':
        check_checkpoint(checkpoint, '--resume', named=False)
        cfg.load_from = checkpoint


def check_checkpoint(checkpoint: str, where: str, named: bool = True) -> None:
    """Raise UsageError if `checkpoint` is neither a file, nor an address, nor a published name.

    Args:
        checkpoint: The checkpoint.
        where: The argument it was given as.
        named: Whether published weights will do; to go on from, a training checkpoint is needed.
    """
    is_name = named and checkpoint in PUBLISHED
    if REMOTE not in checkpoint and not is_name and not Path(os.path.expanduser(checkpoint)).is_file():
        raise UsageError(f'{where}: there is no file {checkpoint}.')


def fit_to_device(cfg: Config) -> None:
    """Turn off what needs a GPU where there is none: fp16 mixed precision, pinned memory, and NCCL.

    bf16 stays: CPUs compute in it, and it was asked for by name.
    """
    if torch.cuda.is_available():
        return
    if str(cfg.get('optim_wrapper', {}).get('type')).split('.')[-1] == 'AmpOptimWrapper':
        print_log('There is no GPU: training in float32 instead of mixed precision.', logger='current')
        cfg.optim_wrapper.type = 'OptimWrapper'
        cfg.optim_wrapper.pop('loss_scale', None)
        cfg.optim_wrapper.pop('dtype', None)
    cfg.setdefault('env_cfg', ConfigDict()).setdefault('dist_cfg', ConfigDict()).backend = 'gloo'
    for split in ('train', 'val', 'test'):
        if cfg.get(f'{split}_dataloader'):
            cfg[f'{split}_dataloader'].pop('pin_memory', None)
    if cfg.launcher != 'none':
        wrapper = cfg.setdefault(
            'model_wrapper_cfg',
            ConfigDict(find_unused_parameters=cfg.get('find_unused_parameters', False)),
        )
        wrapper.setdefault('type', 'convnext_dense.CPUDistributedDataParallel')


def save_pictures(cfg: Config, folder: str) -> None:
    """Have testing save a picture of each image's predictions below `folder`.

    Raises:
        UsageError: If the config has no hook that draws.
    """
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise UsageError('--show-dir: the config has no default_hooks.visualization, which draws the pictures.')
    folder = os.path.abspath(folder)
    hook.draw = True
    hook.interval = 1
    if cfg.default_scope == 'mmdet':
        hook.test_out_dir = folder
    else:
        cfg.visualizer.save_dir = folder


def enable_tta(cfg: Config) -> None:
    """Test with augmentation: mmseg's scales and flips, or for a detector a flip of its own test pipeline.

    mmdet merges boxes and no masks, so a detector's masks are not evaluated.
    """
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    if cfg.default_scope == 'mmdet':
        merge = dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)
        cfg.setdefault('tta_model', ConfigDict(type='DetTTAModel', tta_cfg=merge))
        if cfg.tta_model.type == 'DetTTAModel':
            cfg.tta_model.type = 'convnext_dense.BoxTTAModel'
        cfg.setdefault('tta_pipeline', _flip_pipeline(dataset.pipeline))
        for evaluator in _evaluators(cfg, 'test'):
            if 'segm' in evaluator.get('metric', []):
                print_log("--tta: mmdet's merges boxes only; masks are not evaluated.", logger='current')
                evaluator.metric = 'bbox'
    for key in ('tta_model', 'tta_pipeline'):
        if key not in cfg:
            raise UsageError(f'--tta: the config has no {key!r}.')
    dataset.pipeline = cfg.tta_pipeline
    cfg.tta_model.module = cfg.model
    cfg.model = cfg.tta_model


def _flip_pipeline(test_pipeline: list[dict]) -> list[dict]:
    *load, pack = test_pipeline
    pack = dict(pack)
    pack['meta_keys'] = (*pack.get('meta_keys', META_KEYS), 'flip', 'flip_direction')
    flips = [dict(type='mmdet.RandomFlip', prob=prob) for prob in (1.0, 0.0)]
    return [*load, dict(type='TestTimeAug', transforms=[flips, [pack]])]
