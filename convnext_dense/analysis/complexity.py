"""Counts the parameters and the multiply-adds of a model, as the papers on ConvNeXt do."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from mmdet.models.detectors import (
    DETR,
    DINO,
    Mask2Former,
    MaskFormer,
    SingleStageDetector,
    TwoStageDetector,
)
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmseg.models.decode_heads import Mask2FormerHead, MaskFormerHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convnext_dense.config.load import CONFIG_ERRORS
from convnext_dense.errors import UsageError
from convnext_dense.meta_device import build_on_meta, without_allocating

DETECTION_SHAPE = (800, 1280)
PAD = ('Pad', 'mmdet.Pad')
# mmdet 2's count, which the papers state, has these RoIs of an image go through every box head and every mask head.
BOX_ROIS = 1000
MASK_ROIS = 100
# Detectors of queries, whose transformers and heads are entwined: each with the part that holds its heads.
QUERY_DETECTORS = {
    DETR: 'bbox_head',
    DINO: 'bbox_head',
    MaskFormer: 'panoptic_head',
    Mask2Former: 'panoptic_head',
}


class Complexity(NamedTuple):
    """What a model costs: all its parameters, the multiply-adds of one image, and both of each part."""

    params: int
    flops: int
    parts: dict[str, tuple[int, int]]


def measure_complexity(cfg: Config, shape: tuple[int, int] | None = None) -> Complexity:
    """Count the parameters of a model and the multiply-adds of one image, without allocating either.

    Counted are the multiply-adds of convolutions, linear layers and matrix products, which is what the papers call
    FLOPs. Norms, activations, biases, pooling and interpolation are left out, as are RoIAlign and NMS; mmdet 2 counts
    some of these, which makes at most 0.2 % of what is published of ConvNeXt. Of deformable attention, the projections
    are counted, the sampling and its weighted sum are not.

    - A two-stage detector is counted as by mmdet 2: backbone, neck and RPN head, 1000 RoIs through each of its box
      heads, and 100 through each of its mask heads.
    - A single-stage detector is counted up to the outputs of its ``bbox_head``.
    - DETR, DINO, MaskFormer and Mask2Former are counted up to the outputs of every layer of their decoders, which
      testing computes too.
    - A segmenter is counted up to the outputs of its ``decode_head``. Auxiliary heads have parameters, and no part in
      testing.

    Args:
        cfg: A config with a model.
        shape: Height and width of the image. Defaults to `default_shape`.

    Returns:
        The totals, and of each part its parameters and multiply-adds.

    Raises:
        UsageError: If the model cannot be built, is of a kind that cannot be counted, or cannot take an image of
            this shape.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py')
        >>> measure_complexity(cfg, (128, 128)).parts['neck']
        (179200, 54067200)
    """
    height, width = shape or default_shape(cfg)
    if min(height, width) < 1:
        raise UsageError(f'shape: height and width must be positive; got {height} x {width}.')
    try:
        model = build_on_meta(cfg.model, cfg.default_scope)
    except CONFIG_ERRORS as error:
        raise UsageError(f'model: {type(error).__name__}: {error}') from error
    count = _counter_of(model)
    channels = cfg.model.backbone.get('in_channels', 3)
    try:
        with without_allocating():
            flops = count(model, torch.empty(1, channels, height, width))
    except (RuntimeError, ValueError, AssertionError) as error:
        kind = type(model).__name__
        raise UsageError(f'model: {kind} cannot take an image of {height} x {width}: {error}') from error
    params = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    uncounted = [name for name, number in params.items() if number and name not in flops and name != 'auxiliary_head']
    if uncounted:
        raise UsageError(f'model: the multiply-adds of {type(model).__name__}.{uncounted[0]} cannot be counted.')
    parts = {name: (number, flops.get(name, 0)) for name, number in params.items() if number}
    return Complexity(sum(p.numel() for p in model.parameters()), sum(flops.values()), parts)


def default_shape(cfg: Config) -> tuple[int, int]:
    """Return the height and width that the papers count at.

    A detector's is 800 x 1280, or the one size to which its test pipeline pads every image. A segmenter's with sliding
    windows is the window's height and four times its width, the largest image that its test pipeline resizes to;
    another segmenter's is that of its training crops.

    Raises:
        UsageError: If the config says none.

    Example:
        >>> default_shape(Config(dict(default_scope='mmdet')))
        (800, 1280)
        >>> model = dict(test_cfg=dict(mode='slide', crop_size=(512, 512)))
        >>> default_shape(Config(dict(default_scope='mmseg', model=model)))
        (512, 2048)
    """
    if cfg.default_scope == 'mmdet':
        dataset = (cfg.get('test_dataloader') or {}).get('dataset', {})
        pads = [each.size for each in dataset.get('pipeline', []) if each['type'] in PAD and each.get('size')]
        # mmdet's pipelines have the width first.
        return tuple(reversed(pads[-1])) if pads else DETECTION_SHAPE
    test_cfg = cfg.model.get('test_cfg') or {}
    if test_cfg.get('mode') == 'slide':
        height, width = test_cfg['crop_size']
        return height, 4 * width
    size = (cfg.model.get('data_preprocessor') or {}).get('size')
    if size is None:
        raise UsageError('model.data_preprocessor.size: the config says none; give the shape to count at.')
    return tuple(size)


def complexity_table(cfg: Config, shape: tuple[int, int] | None = None) -> str:
    """Return what `measure_complexity` counts as a table, with what was counted.

    Args:
        cfg: A config with a model.
        shape: Height and width of the image. Defaults to `default_shape`.

    Raises:
        UsageError: As `measure_complexity` does.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('configs/demo/upernet_convnext-demo_demo-ade20k.py')
        >>> print(complexity_table(cfg).splitlines()[-2])
        one image of 128 x 128 (height x width)
    """
    height, width = shape or default_shape(cfg)
    complexity = measure_complexity(cfg, (height, width))
    rows = [*complexity.parts.items(), ('total', (complexity.params, complexity.flops))]
    width_of_names = max(16, *(len(name) + 1 for name, _ in rows))
    counted = 'multiply-adds of convolutions, linear layers and matrix products'
    if 'roi_head' in complexity.parts:
        counted += f'; {BOX_ROIS} RoIs through each box head, {MASK_ROIS} through each mask head'
    return '\n'.join(
        [
            f'{"part":{width_of_names}}{"params":>12}{"FLOPs":>12}',
            *(f'{name:{width_of_names}}{params / 1e6:>11.2f}M{flops / 1e9:>11.2f}G' for name, (params, flops) in rows),
            '',
            f'one image of {height} x {width} (height x width)',
            counted,
        ]
    )


def _counter_of(model: nn.Module) -> Callable[[nn.Module, Tensor], dict[str, int]]:
    """The function that counts the multiply-adds of each part of a model of this kind."""
    if isinstance(model, TwoStageDetector) and type(model.roi_head) in (StandardRoIHead, CascadeRoIHead):
        return _count_two_stage
    if isinstance(model, SingleStageDetector) and model.with_bbox:
        return _count_single_stage
    if type(model) in QUERY_DETECTORS:
        return _count_query_detector
    if isinstance(model, EncoderDecoder) and isinstance(model.decode_head, BaseDecodeHead):
        return _count_segmenter
    if isinstance(model, EncoderDecoder) and isinstance(model.decode_head, MaskFormerHead | Mask2FormerHead):
        return _count_query_segmenter
    kind = type(model).__name__
    if isinstance(model, TwoStageDetector):
        kind += f' with {type(model.roi_head).__name__}'
    raise UsageError(
        f'model: {kind} cannot be counted; two-stage detectors with StandardRoIHead or CascadeRoIHead, '
        'single-stage detectors with a bbox_head, DETR, DINO, MaskFormer, Mask2Former and segmenters with one decode '
        'head can.'
    )


def _count_two_stage(model: TwoStageDetector, image: Tensor) -> dict[str, int]:
    features, flops = _count_features(model, image)
    _, flops['rpn_head'] = _count(model.rpn_head, features)
    head = model.roi_head
    calls = [(BOX_ROIS, head.bbox_roi_extractor, head.bbox_head)]
    if head.with_mask:
        calls.append((MASK_ROIS, head.mask_roi_extractor, head.mask_head))
    flops['roi_head'] = sum(
        _count_rois(number, extractor, stage, head.shared_head if head.with_shared_head else None)
        for number, extractors, stages in calls
        for extractor, stage in zip(_modules(extractors), _modules(stages), strict=True)
    )
    return flops


def _count_rois(number: int, extractor: nn.Module, stage: nn.Module, shared_head: nn.Module | None) -> int:
    """The RoIs' place does not change the count, and a meta tensor has no coordinates: their features are made up."""
    size = extractor.roi_layers[0].output_size
    rois, flops = torch.empty(number, extractor.out_channels, *size), 0
    if shared_head is not None:
        rois, flops = _count(shared_head, rois)
    return flops + _count(stage, rois)[1]


def _count_single_stage(model: SingleStageDetector, image: Tensor) -> dict[str, int]:
    features, flops = _count_features(model, image)
    _, flops['bbox_head'] = _count(model.bbox_head, features)
    return flops


def _count_query_detector(model: nn.Module, image: Tensor) -> dict[str, int]:
    with FlopCounterMode(display=False) as counter:
        model(image, [DetDataSample(metainfo=_sizes(image))], mode='tensor')
    counts = counter.get_flop_counts()
    name = type(model).__name__
    flops = {part: sum(counts.get(f'{name}.{part}', {}).values()) // 2 for part, _ in model.named_children()}
    # The models call their heads' parts one by one, so these are what is left.
    flops[QUERY_DETECTORS[type(model)]] += counter.get_total_flops() // 2 - sum(flops.values())
    return flops


def _count_segmenter(model: EncoderDecoder, image: Tensor) -> dict[str, int]:
    features, flops = _count_features(model, image)
    _, flops['decode_head'] = _count(model.decode_head, features)
    return flops


def _count_query_segmenter(model: EncoderDecoder, image: Tensor) -> dict[str, int]:
    features, flops = _count_features(model, image)
    _, flops['decode_head'] = _count(model.decode_head, features, [SegDataSample(metainfo=_sizes(image))])
    return flops


def _sizes(image: Tensor) -> dict[str, tuple[int, int]]:
    """What the models of queries ask about the images of a batch."""
    size = tuple(image.shape[-2:])
    return dict(img_shape=size, batch_input_shape=size)


def _count_features(model: nn.Module, image: Tensor) -> tuple[tuple[Tensor, ...], dict[str, int]]:
    """The features that the heads take, and the multiply-adds of backbone and neck."""
    flops = {}
    features, flops['backbone'] = _count(model.backbone, image)
    if model.with_neck:
        features, flops['neck'] = _count(model.neck, features)
    return features, flops


def _count(part: Callable, *inputs: object) -> tuple[object, int]:
    """Call a part of a model, and return its outputs and its multiply-adds."""
    with FlopCounterMode(display=False) as counter:
        outputs = part(*inputs)
    # It counts a multiply-add as two.
    return outputs, counter.get_total_flops() // 2


def _modules(stages: nn.Module) -> Iterable[nn.Module]:
    """The heads of a cascade's stages, or the one head of another detector."""
    return stages if isinstance(stages, nn.ModuleList) else [stages]
