"""The names of a small distillation."""

TEACHER = 'timm/test_vit'
STUDENT = 'convnext_dense/ConvNeXt(arch=dict(depths=[1,1,1,1],channels=[8,8,16,16]),layer_scale_init_value=1.0)'
# Two epochs of two steps, in a folder that the fixture `folder` made.
ARGUMENTS = [
    *('--images', 'images', '--teacher', TEACHER, '--teacher-weights', 'teacher.pth'),
    *('--student', STUDENT, '--from-scratch', '--epochs', 2, '--batch-size', 4, '--size', 64, '--work-dir', 'run'),
]
