"""A short name for every published ConvNeXt weight, and for real-time DETRs, with its address and license.

A backbone's name is the architecture and then, in order, the data it was trained on; a number at the end is the
resolution of the last training, if that is not 224. A whole model's name ends in the data it is for. Weights of other
architectures are left out: the official isotropic models, and timm's with overlapping stems or RMSNorm.
"""

from typing import NamedTuple


class Published(NamedTuple):
    """The address of published weights, and the license that their publisher states."""

    address: str
    license: str


V1_SIZES = ('tiny', 'small', 'base', 'large')
V2_SIZES = ('atto', 'femto', 'pico', 'nano', 'tiny', 'base', 'large', 'huge')
V2_IN22K_SIZES = ('nano', 'tiny', 'base', 'large')
META = 'https://dl.fbaipublicfiles.com/convnext/'
OPENMMLAB = 'https://download.openmmlab.com/'
MMDET = f'{OPENMMLAB}mmdetection/v2.0/convnext/'
MMSEG = f'{OPENMMLAB}mmsegmentation/v0.5/convnext/'

# facebookresearch/ConvNeXt
V1 = {
    **{f'convnext_{size}_in1k': f'convnext_{size}_1k_224_ema.pth' for size in V1_SIZES},
    **{f'convnext_{size}_in1k_noema': f'convnext_{size}_1k_224.pth' for size in ('tiny', 'small', 'base')},
    **{f'convnext_{size}_in1k_384': f'convnext_{size}_1k_384.pth' for size in ('base', 'large')},
    **{f'convnext_{size}_in22k': f'convnext_{size}_22k_224.pth' for size in (*V1_SIZES, 'xlarge')},
    **{f'convnext_{size}_in22k_in1k': f'convnext_{size}_22k_1k_224.pth' for size in V1_SIZES},
    **{f'convnext_{size}_in22k_in1k_384': f'convnext_{size}_22k_1k_384.pth' for size in V1_SIZES},
    'convnext_xlarge_in22k_in1k': 'convnext_xlarge_22k_1k_224_ema.pth',
    'convnext_xlarge_in22k_in1k_384': 'convnext_xlarge_22k_1k_384_ema.pth',
}

# facebookresearch/ConvNeXt, object_detection and semantic_segmentation
V1_MODELS = {
    'mask_rcnn_convnext_tiny_in1k_coco': 'coco/mask_rcnn_convnext_tiny_1k_3x.pth',
    **{
        f'cascade_mask_rcnn_convnext_{size}_in{data}_coco': f'coco/cascade_mask_rcnn_convnext_{size}_{data}_3x.pth'
        for size, data in [(size, '1k') for size in V1_SIZES[:3]]
        + [(size, '22k') for size in ('base', 'large', 'xlarge')]
    },
    **{
        f'upernet_convnext_{size}_in1k_ade20k': f'ade20k/upernet_convnext_{size}_1k_512x512.pth'
        for size in V1_SIZES[:3]
    },
    **{
        f'upernet_convnext_{size}_in22k_ade20k': f'ade20k/upernet_convnext_{size}_22k_640x640.pth'
        for size in ('base', 'large', 'xlarge')
    },
}

# facebookresearch/ConvNeXt-V2
V2 = {
    **{f'convnextv2_{size}_fcmae': f'pt_only/convnextv2_{size}_1k_224_fcmae.pt' for size in V2_SIZES},
    **{f'convnextv2_{size}_fcmae_in1k': f'im1k/convnextv2_{size}_1k_224_ema.pt' for size in V2_SIZES},
    **{f'convnextv2_{size}_fcmae_in22k_in1k': f'im22k/convnextv2_{size}_22k_224_ema.pt' for size in V2_IN22K_SIZES},
    **{
        f'convnextv2_{size}_fcmae_in22k_in1k_384': f'im22k/convnextv2_{size}_22k_384_ema.pt'
        for size in (*V2_IN22K_SIZES, 'huge')
    },
    'convnextv2_huge_fcmae_in22k_in1k_512': 'im22k/convnextv2_huge_22k_512_ema.pt',
}

# Trained or hosted by timm, by timm's own names: the architecture, a dot, and the tag.
TIMM_WEIGHTS = (
    'convnext_atto.d2_in1k',
    'convnext_femto.d1_in1k',
    'convnext_pico.d1_in1k',
    'convnext_nano.d1h_in1k',
    'convnext_nano.in12k',
    'convnext_nano.in12k_ft_in1k',
    'convnext_nano.r384_in12k',
    'convnext_nano.r384_ad_in12k',
    'convnext_nano.r384_in12k_ft_in1k',
    'convnext_tiny_hnf.a2h_in1k',
    'convnext_tiny.in12k',
    'convnext_tiny.in12k_ft_in1k',
    'convnext_tiny.in12k_ft_in1k_384',
    'convnext_small.in12k',
    'convnext_small.in12k_ft_in1k',
    'convnext_small.in12k_ft_in1k_384',
    'convnext_base.clip_laion2b',
    'convnext_base.clip_laion2b_augreg',
    'convnext_base.clip_laion2b_augreg_ft_in12k',
    'convnext_base.clip_laion2b_augreg_ft_in12k_in1k',
    'convnext_base.clip_laion2b_augreg_ft_in12k_in1k_384',
    'convnext_base.clip_laion2b_augreg_ft_in1k',
    'convnext_base.clip_laiona',
    'convnext_base.clip_laiona_320',
    'convnext_base.clip_laiona_augreg_320',
    'convnext_base.clip_laiona_augreg_ft_in1k_384',
    'convnext_large_mlp.clip_laion2b_augreg',
    'convnext_large_mlp.clip_laion2b_augreg_ft_in12k_384',
    'convnext_large_mlp.clip_laion2b_augreg_ft_in1k',
    'convnext_large_mlp.clip_laion2b_augreg_ft_in1k_384',
    'convnext_large_mlp.clip_laion2b_ft_320',
    'convnext_large_mlp.clip_laion2b_ft_soup_320',
    'convnext_large_mlp.clip_laion2b_soup_ft_in12k_320',
    'convnext_large_mlp.clip_laion2b_soup_ft_in12k_384',
    'convnext_large_mlp.clip_laion2b_soup_ft_in12k_in1k_320',
    'convnext_large_mlp.clip_laion2b_soup_ft_in12k_in1k_384',
    'convnext_xxlarge.clip_laion2b_rewind',
    'convnext_xxlarge.clip_laion2b_soup',
    'convnext_xxlarge.clip_laion2b_soup_ft_in12k',
    'convnext_xxlarge.clip_laion2b_soup_ft_in1k',
)

# mmpretrain's own training: with and without averaged weights, and SparK's pretraining of V2.
MMPRETRAIN_V1 = f'{OPENMMLAB}mmclassification/v0/convnext/'
SPARK_FOLDER = 'spark_sparse-convnextv2-tiny_16xb256-amp-coslr-800e_in1k'
SPARK = f'{OPENMMLAB}mmpretrain/v1.0/spark'
MMPRETRAIN_WEIGHTS = {
    'convnext_tiny_mmpretrain_in1k': f'{MMPRETRAIN_V1}convnext-tiny_32xb128_in1k_20221207-998cf3e9.pth',
    'convnext_tiny_mmpretrain_in1k_noema': f'{MMPRETRAIN_V1}convnext-tiny_32xb128-noema_in1k_20221208-5d4509c7.pth',
    'convnext_small_mmpretrain_in1k': f'{MMPRETRAIN_V1}convnext-small_32xb128_in1k_20221207-4ab7052c.pth',
    'convnext_small_mmpretrain_in1k_noema': f'{MMPRETRAIN_V1}convnext-small_32xb128-noema_in1k_20221208-4a618995.pth',
    'convnext_base_mmpretrain_in1k': f'{MMPRETRAIN_V1}convnext-base_32xb128_in1k_20221207-fbdb5eb9.pth',
    'convnext_base_mmpretrain_in1k_noema': f'{MMPRETRAIN_V1}convnext-base_32xb128-noema_in1k_20221208-f8182678.pth',
    'convnextv2_tiny_spark': f'{SPARK}/{SPARK_FOLDER}/{SPARK_FOLDER}_20230612-b0ea712e.pth',
    'convnextv2_tiny_spark_in1k': (
        f'{SPARK}//{SPARK_FOLDER}/convnextv2-tiny_8xb256-coslr-300e_in1k/'
        'convnextv2-tiny_8xb256-coslr-300e_in1k_20230612-ffc78743.pth'
    ),
}

# mmdet's and mmseg's own training. A folder has the file's name without the date.
MMDET_MODELS = {
    'mask_rcnn_convnext_tiny_in1k_coco_mmdet': (
        'mask_rcnn_convnext-t_p4_w7_fpn_fp16_ms-crop_3x_coco',
        '20220426_154953-050731f4',
    ),
    'cascade_mask_rcnn_convnext_tiny_in1k_coco_mmdet': (
        'cascade_mask_rcnn_convnext-t_p4_w7_fpn_giou_4conv1f_fp16_ms-crop_3x_coco',
        '20220509_204200-8f07c40b',
    ),
    'cascade_mask_rcnn_convnext_small_in1k_coco_mmdet': (
        'cascade_mask_rcnn_convnext-s_p4_w7_fpn_giou_4conv1f_fp16_ms-crop_3x_coco',
        '20220510_201004-3d24f5a4',
    ),
}
MMSEG_MODELS = {
    'upernet_convnext_tiny_in1k_ade20k_mmseg': (
        'upernet_convnext_tiny_fp16_512x512_160k_ade20k',
        '20220227_124553-cad485de',
    ),
    'upernet_convnext_small_in1k_ade20k_mmseg': (
        'upernet_convnext_small_fp16_512x512_160k_ade20k',
        '20220227_131208-1b1e394f',
    ),
    'upernet_convnext_base_in1k_ade20k_mmseg': (
        'upernet_convnext_base_fp16_512x512_160k_ade20k',
        '20220227_181227-02a24fc6',
    ),
    'upernet_convnext_base_in22k_ade20k_mmseg': (
        'upernet_convnext_base_fp16_640x640_160k_ade20k',
        '20220227_182859-9280e39b',
    ),
    'upernet_convnext_large_in22k_ade20k_mmseg': (
        'upernet_convnext_large_fp16_640x640_160k_ade20k',
        '20220226_040532-e57aa54d',
    ),
    'upernet_convnext_xlarge_in22k_ade20k_mmseg': (
        'upernet_convnext_xlarge_fp16_640x640_160k_ade20k',
        '20220226_080344-95fc38c2',
    ),
}

# Real-time DETRs: Peterande/D-FINE and lyuwenyu/RT-DETR, and the same models as transformers has them.
D_FINE = 'https://github.com/Peterande/storage/releases/download/dfinev1.0/'
RT_DETR = 'https://github.com/lyuwenyu/storage/releases/download/'
HUB = 'huggingface://'
DETRS = {
    **{f'd_fine_{size}_coco': f'{D_FINE}dfine_{size}_coco.pth' for size in 'nsmlx'},
    **{f'd_fine_{size}_obj2coco': f'{D_FINE}dfine_{size}_obj2coco.pth' for size in 'smx'},
    'd_fine_l_obj2coco': f'{D_FINE}dfine_l_obj2coco_e25.pth',
    'rtdetrv2_r18vd_coco': f'{RT_DETR}v0.2/rtdetrv2_r18vd_120e_coco_rerun_48.1.pth',
    'rtdetrv2_r34vd_coco': f'{RT_DETR}v0.1/rtdetrv2_r34vd_120e_coco_ema.pth',
    'rtdetrv2_r50vd_m_coco': f'{RT_DETR}v0.1/rtdetrv2_r50vd_m_7x_coco_ema.pth',
    'rtdetrv2_r50vd_coco': f'{RT_DETR}v0.1/rtdetrv2_r50vd_6x_coco_ema.pth',
    'rtdetrv2_r101vd_coco': f'{RT_DETR}v0.1/rtdetrv2_r101vd_6x_coco_from_paddle.pth',
    'd_fine_l_coco_transformers': f'{HUB}ustc-community/dfine-large-coco',
    'rtdetrv2_r50vd_coco_transformers': f'{HUB}PekingU/rtdetr_v2_r50vd',
}

PUBLISHED = {
    **{name: Published(META + file, 'MIT') for name, file in (V1 | V1_MODELS).items()},
    **{name: Published(f'{META}convnextv2/{file}', 'CC-BY-NC-4.0') for name, file in V2.items()},
    **{
        f'convnext_{size}_dinov3': Published(f'timm://convnext_{size}.dinov3_lvd1689m', 'DINOv3 License')
        for size in V1_SIZES
    },
    **{
        f'convnext_{size}_eupe': Published(
            f'timm://convnext_{size}.eupe_lvd1689m', 'FAIR Noncommercial Research License'
        )
        for size in V1_SIZES[:3]
    },
    **{name.replace('.', '_').replace('_ft_', '_'): Published(f'timm://{name}', 'Apache-2.0') for name in TIMM_WEIGHTS},
    **{
        f'convnext_{size}_torchvision_in1k': Published(f'torchvision://convnext_{size}.imagenet1k_v1', 'BSD-3-Clause')
        for size in V1_SIZES
    },
    **{name: Published(address, 'Apache-2.0') for name, address in (MMPRETRAIN_WEIGHTS | DETRS).items()},
    **{
        name: Published(f'{home}{folder}/{folder}_{date}.pth', 'Apache-2.0')
        for home, models in ((MMDET, MMDET_MODELS), (MMSEG, MMSEG_MODELS))
        for name, (folder, date) in models.items()
    },
}
