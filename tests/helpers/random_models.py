"""Detectors and segmenters of random weights, small enough for tests."""

import copy
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from convnext_dense.config import load_config
from convnext_dense.config.tree import bare_type, leaf_datasets
from convnext_dense.inference.find_model import FoundModel
from convnext_dense.inference.model import Model

SIZE = (96, 64)
SIDE = max(SIZE)
# A model of random weights is sure of nothing.
NO_THRESHOLDS = dict(score_thr=0.0, filter_low_score=False)
FEW = dict(nms_pre=100, max_per_img=20, num_queries=30)


def small_config(name: str, data: Path) -> Config:
    """Return a config with small images, whose test set is `data`, and which finds objects whatever their score."""
    cfg = load_config(name, data=str(data), pretrained=False)
    _change(cfg.model)
    loader = cfg.test_dataloader
    loader.update(num_workers=0, persistent_workers=False, batch_size=1)
    for dataset in leaf_datasets(loader.dataset):
        for step in dataset.pipeline:
            if bare_type(step.type) == 'Resize' and 'scale' in step:
                step.scale = SIZE
            elif bare_type(step.type) == 'Pad':
                step.size = (SIDE, SIDE)
    return cfg


def save_random(cfg: Config, file: Path) -> Path:
    """Save a checkpoint of random weights, as a training does."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(copy.deepcopy(cfg.model))
        model.init_weights()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # The queries of a new Mask2Former all vote for one class, everywhere.
            if name.startswith(('decode_head.cls_embed', 'decode_head.mask_embed')):
                weight *= 10
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(leaf_datasets(cfg.test_dataloader.dataset)[0].metainfo))
    torch.save(dict(meta=meta, state_dict=model.state_dict()), file)
    return file


def random_model(cfg: Config, file: Path) -> Model:
    """Return a model of random weights, which are saved in a file."""
    return Model(FoundModel(copy.deepcopy(cfg), str(save_random(cfg, file)), 'random'), 'cpu')


def _change(part: object) -> None:
    if isinstance(part, dict):
        for key, value in part.items():
            if key in NO_THRESHOLDS:
                part[key] = NO_THRESHOLDS[key]
            elif key in FEW and isinstance(value, int):
                part[key] = min(value, FEW[key])
            else:
                _change(value)
    elif isinstance(part, list | tuple):
        for item in part:
            _change(item)
