"""Which of this package's configs a published model belongs to."""

import re

from convnext_dense.weights.published import PUBLISHED

SIZES = dict(tiny='t', small='s', base='b', large='l', xlarge='xl')
MODEL = re.compile(
    r'(?:(cascade_)?mask_rcnn|(upernet))_convnext_([a-z]+)_in(1k|22k)_(?:coco(?:_mmdet)?|ade20k(?:_mmseg)?)'
)

D_FINE_L, RTDETRV2_L = 'd-fine_hgnetv2-b4_8xb4-80e_coco', 'rtdetrv2_r50-d_8xb2-72e_coco'
# Other sizes of the real-time DETRs have no config.
DETR_CONFIGS = dict(
    d_fine_l_coco=D_FINE_L,
    d_fine_l_obj2coco=D_FINE_L,
    d_fine_l_coco_transformers=D_FINE_L,
    rtdetrv2_r50vd_coco=RTDETRV2_L,
    rtdetrv2_r50vd_coco_transformers=RTDETRV2_L,
)


def config_of(name: str) -> str:
    """Return the name of the config of a published detector or segmenter; '' if there is none.

    Args:
        name: A name of `PUBLISHED`.

    Example:
        >>> config_of('upernet_convnext_base_in22k_ade20k')
        'upernet_convnext-b-in22k_8xb2-amp-160k_ade20k-640x640'
        >>> config_of('convnext_tiny_in1k')
        ''
    """
    if name in DETR_CONFIGS:
        return DETR_CONFIGS[name]
    match = MODEL.fullmatch(name) if name in PUBLISHED else None
    if not match:
        return ''
    is_cascade, is_segmenter, size, data = match.groups()
    backbone = f'convnext-{SIZES[size]}{"-in22k" if data == "22k" else ""}'
    if is_segmenter:
        side = 640 if data == '22k' else 512
        return f'upernet_{backbone}_8xb2-amp-160k_ade20k-{side}x{side}'
    if is_cascade:
        return f'cascade-mask-rcnn_{backbone}_fpn_4conv1fc-giou_amp-ms-crop-3x_coco'
    return f'mask-rcnn_{backbone}_fpn_amp-ms-crop-3x_coco'


def published_models() -> dict[str, str]:
    """Return the config's name of each published detector and segmenter, by the model's name.

    Example:
        >>> published_models()['mask_rcnn_convnext_tiny_in1k_coco']
        'mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco'
    """
    return {name: config for name in PUBLISHED if (config := config_of(name))}
