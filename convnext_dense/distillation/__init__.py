"""Distillation: a ConvNeXt learns a frozen transformer's features on images without annotations.

What `convnext-dense distill` and `convnext_dense.apis.distill` train is an ordinary config::

    model = dict(
        type='convnext_dense.Distiller',
        data_preprocessor=dict(type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
        backbone=dict(type='convnext_dense.ConvNeXt', arch='tiny', out_indices=[2, 3]),
        teacher=dict(model_name='vit_base_patch16_dinov3', image_size=224, checkpoint='timm://...'),
    )
"""

from convnext_dense.distillation.backbone_file import write_backbone
from convnext_dense.distillation.distiller import Distiller
from convnext_dense.distillation.image_files import ImageFiles
from convnext_dense.distillation.random_view import RandomView
from convnext_dense.distillation.recipe import distillation_config
from convnext_dense.distillation.standardization import Standardization
from convnext_dense.distillation.teacher import Teacher

__all__ = [
    'Distiller',
    'ImageFiles',
    'RandomView',
    'Standardization',
    'Teacher',
    'distillation_config',
    'write_backbone',
]
