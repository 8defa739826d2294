"""Fits a config to images of any number of channels and any depth."""

import inspect
from collections.abc import Collection, Iterator

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS

from convnext_dense.config.channels import PREPROCESSORS
from convnext_dense.config.data.training_images import training_images
from convnext_dense.config.tree import bare_type, typed_parts
from convnext_dense.datasets.channels import COLORS
from convnext_dense.datasets.images.image_statistics import ChannelStatistics, ImageKind, channel_statistics, find_kinds
from convnext_dense.errors import UsageError
from convnext_dense.wording import counted

IN_CHANNELS, MEAN, STD = 'model.backbone.in_channels', 'model.data_preprocessor.mean', 'model.data_preprocessor.std'
LOADERS = ('LoadImageFromFile', 'CheckedImage')
# They change colors of 8 bits.
COLOR_TRANSFORMS = ('PhotoMetricDistortion', 'SegPhotoMetricDistortion', 'YOLOXHSVRandomAug')
# They make images of 3 channels, or make the channels themselves.
OTHER_TRANSFORMS = ('Mosaic', 'CachedMosaic', 'MixUp', 'CachedMixUp', 'Expand')
OWN_CHANNELS = ('RGB2Gray', 'ConcatCDInput')
BYTE = 8
# Backbones whose pretrained weights are adapted to any number of channels.
ADAPTED = ('ConvNeXt', 'TimmBackbone')


def fit_image_channels(cfg: Config, has_data: bool, given: Collection[str] = ()) -> None:
    """Fit the loaders, the backbone's `in_channels`, and the data preprocessor's mean and deviation to the images.

    With `in_channels` other than 3, or with new data whose images have a fourth channel or more than 8 bits, images are
    read as they are stored. Mean and deviation are those of a sample of the training images. What the config or
    `given` says already stays.

    Args:
        cfg: The config, which is changed.
        has_data: Whether its dataset has been put into it, so that its images may be of another kind than it is for.
        given: Keys that have been given a value.

    Raises:
        UsageError: If a transform cannot take the images.

    Example:
        >>> model = dict(backbone=dict(in_channels=4), data_preprocessor=dict(type='DetDataPreprocessor'))
        >>> loader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile')]))
        >>> cfg = Config(dict(default_scope='mmdet', model=model, train_dataloader=loader))
        >>> fit_image_channels(cfg, has_data=False)
        >>> cfg.train_dataloader.dataset.pipeline
        [{'type': 'LoadImageFromFile', 'color_type': 'unchanged'}]
    """
    backbone, preprocessor = cfg.model.get('backbone'), cfg.model.get('data_preprocessor')
    if not isinstance(backbone, dict) or not isinstance(preprocessor, dict):
        return
    asked = backbone.get('in_channels', COLORS)
    if not isinstance(asked, int) or bare_type(preprocessor.get('type')) not in PREPROCESSORS:
        return
    steps = [step for key, value in cfg.items() if key != 'model' for step in typed_parts(value)]
    loaders = [step for step in steps if bare_type(step.get('type')) in LOADERS]
    is_set = all('color_type' in loader for loader in loaders)
    has_own = any(bare_type(step.get('type')) in OWN_CHANNELS for step in steps)
    is_asked = asked != COLORS
    if not loaders or has_own or (is_set and len(preprocessor.get('mean') or [0] * asked) == asked):
        return
    if not is_asked and (is_set or not has_data):
        return
    files = training_images(cfg)
    kinds = find_kinds(files)
    kind = kinds[0] if len(kinds) == 1 else None
    if is_asked and kind and asked not in (1, kind.channels, kind.stored):
        # The check of images says it.
        return
    if not is_asked:
        if all(found.bits == BYTE and found.channels in (1, COLORS) for found in kinds):
            return
        if fault := _why_unfit(cfg, kinds, given):
            print_log(f'images: {fault}; they are read as 3 channels of 8 bits.', logger='current')
            return
        asked = kinds[0].channels
    _fit(cfg, loaders, asked, kind, files, given)


def _why_unfit(cfg: Config, kinds: list[ImageKind], given: Collection[str]) -> str:
    """Return why images that are no colors of 8 bits are read as such, as part of a sentence; '' if they are not."""
    if len(kinds) > 1:
        return f'there are {" and ".join(f"{kind} ({kind.example})" for kind in kinds)}'
    (kind,) = kinds
    if kind.channels == COLORS:
        return ''
    if IN_CHANNELS in given:
        return f'they have {kind}, and {IN_CHANNELS}={COLORS}'
    if not _takes_channels(cfg):
        return f'they have {kind}, and {cfg.model.backbone.type} takes {COLORS} channels'
    return ''


def _takes_channels(cfg: Config) -> bool:
    kind = cfg.model.backbone.get('type')
    if isinstance(kind, str):
        with MODELS.switch_scope_and_registry(cfg.default_scope) as registry:
            kind = registry.get(kind)
    bases = inspect.getmro(kind) if inspect.isclass(kind) else ()
    return any('in_channels' in inspect.signature(base.__init__).parameters for base in bases)


def _fit(
    cfg: Config, loaders: list[dict], channels: int, kind: ImageKind | None, files: list[str], given: Collection[str]
) -> None:
    is_deep = kind is not None and kind.bits != BYTE
    is_gray = channels == 1 and not (is_deep and kind.channels == 1)
    color_type = 'grayscale' if is_gray else 'unchanged'
    for loader in loaders:
        loader.setdefault('color_type', color_type)
        if kind and kind.by_tifffile:
            loader['imdecode_backend'] = 'tifffile'
    if channels != COLORS or 'in_channels' in cfg.model.backbone:
        cfg.model.backbone.in_channels = channels
    said = [f"they are read with color_type='{color_type}'" + (' by tifffile' if kind and kind.by_tifffile else '')]
    if channels != COLORS or is_deep:
        left_out = _fit_transforms(cfg, channels)
        if left_out:
            verb = 'changes' if len(left_out) == 1 else 'change'
            said.append(f'{" and ".join(left_out)}, which {verb} colors of 8 bits, left out')
    if channels != COLORS and (fault := _stem_fault(cfg)):
        said.append(fault)
    preprocessor = cfg.model.data_preprocessor
    if channels < COLORS or (kind and kind.by_tifffile):
        # OpenCV exchanges red and blue, and tifffile does not.
        preprocessor.update(bgr_to_rgb=False, rgb_to_bgr=False)
    if MEAN not in given and STD not in given and (is_deep or len(preprocessor.get('mean') or []) != channels):
        found = channel_statistics(files, is_gray)
        if found and len(found.mean) == channels:
            said.insert(0, _set_statistics(preprocessor, found, len(files)))
    what = f'{kind}' if kind else f'{counted(channels, "channel")}'
    print_log(f'images: {what}; {IN_CHANNELS}={channels}; {"; ".join(said)}.', logger='current')


def _stem_fault(cfg: Config) -> str:
    """Return what becomes of pretrained weights that no one adapts, as part of a sentence; '' if they are adapted."""
    backbone = cfg.model.backbone
    init_cfg = backbone.get('init_cfg')
    is_pretrained = any(bare_type(step.get('type')) == 'Pretrained' for step in typed_parts(init_cfg))
    if bare_type(backbone.get('type')) in ADAPTED or not is_pretrained:
        return ''
    if backbone.get('frozen_stages', -1) >= 0:
        backbone.frozen_stages = -1
    return f"{backbone.type}'s pretrained first layer does not fit, so it starts from scratch, and nothing is frozen"


def _set_statistics(preprocessor: dict, found: ChannelStatistics, total: int) -> str:
    """Set the mean and deviation in the order that the model sees the channels in; return what they are."""
    order = list(range(len(found.mean)))
    if len(order) >= COLORS and (preprocessor.get('bgr_to_rgb') or preprocessor.get('rgb_to_bgr')):
        order[:COLORS] = [2, 1, 0]
    preprocessor['mean'] = [found.mean[i] for i in order]
    preprocessor['std'] = [found.std[i] for i in order]
    mean, std = (', '.join(f'{value:g}' for value in preprocessor[name]) for name in ('mean', 'std'))
    images = f'all {total}' if found.count == total else f'{found.count} of {total:,}'
    return f'mean {mean} and std {std} of {images} training images'


def _fit_transforms(cfg: Config, channels: int) -> list[str]:
    """Leave out what changes colors, and fill with as many values as channels. Return the names of what is left out."""
    left_out: dict[str, None] = {}
    for key, value in cfg.items():
        if key == 'model':
            continue
        for pipeline in _lists(value):
            names = [bare_type(step.get('type')) if isinstance(step, dict) else '' for step in pipeline]
            if channels != COLORS and (others := [name for name in names if name in OTHER_TRANSFORMS]):
                raise UsageError(
                    f'{IN_CHANNELS}: {others[0]} of {key} takes images of {COLORS} channels, and these have '
                    f'{channels}; take a config without it.'
                )
            left_out.update(dict.fromkeys(name for name in names if name in COLOR_TRANSFORMS))
            pipeline[:] = [step for step, name in zip(pipeline, names, strict=True) if name not in COLOR_TRANSFORMS]
    for step in typed_parts({key: value for key, value in cfg.items() if key != 'model'}):
        _fit_padding(step, channels)
    return list(left_out)


def _fit_padding(step: dict, channels: int) -> None:
    """Make a value for each of 3 channels one for all."""
    value = step.get('pad_val')
    holder, name = (value, 'img') if isinstance(value, dict) else (step, 'pad_val')
    if isinstance(holder.get(name), list | tuple) and len(holder[name]) != channels:
        holder[name] = holder[name][0]


def _lists(node: object) -> Iterator[list]:
    """Yield all lists of dicts, such as pipelines, and those in them."""
    if isinstance(node, list) and any(isinstance(part, dict) for part in node):
        yield node
    parts = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list | tuple) else []
    for part in parts:
        yield from _lists(part)
