"""The config of a distillation, made of the names of a teacher and a student."""

import math
from pathlib import Path

from mmengine.config import Config

from convnext_dense.config.backbone.names import parse_backbone
from convnext_dense.config.load import file_name, load_config
from convnext_dense.config.machine import count_processes
from convnext_dense.config.options import check_checkpoint
from convnext_dense.distillation.teacher import teacher_config
from convnext_dense.errors import UsageError
from convnext_dense.registry import SCOPE
from convnext_dense.results.image_input import images_in

# Of the stages that regress the teacher's tokens: the last two.
STRIDES = (16, 32)
# Steps between two lines of the log.
LOG_INTERVAL = 10
# Processes that read images.
WORKERS = 4
# Which part of the run warms up.
WARM_UP = 0.05
NO_DECAY = dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0)


def distillation_config(
    images: str | Path,
    teacher: str,
    student: str,
    work_dir: str | None = None,
    teacher_weights: str | None = None,
    student_weights: str | None = None,
    from_scratch: bool = False,
    epochs: int = 100,
    batch_size: int = 64,
    size: int = 224,
    lr: float = 5e-4,
    launcher: str = 'none',
) -> Config:
    """Return the config of a distillation, which `convnext_dense.apis.distill` trains.

    Args:
        images: A folder of images; those in its folders count, too.
        teacher: ``timm/MODEL`` or ``timm/MODEL.TAG``, a transformer.
        student: A ConvNeXt of this package, named as in `parse_backbone`.
        work_dir: Where logs and checkpoints go. Defaults to ``work_dirs/distill_<student>_<teacher>``.
        teacher_weights: A file of the teacher's weights, or another source of `read_weights`. Defaults to timm's.
        student_weights: What the student starts from, likewise. Defaults to its published weights.
        from_scratch: Whether the student starts from random weights.
        epochs: How often each image is seen.
        batch_size: Images of a step in each process.
        size: The height and width in pixels of the views that both networks see.
        lr: AdamW's learning rate after a warm-up of a twentieth of the run. It falls to 0 by a cosine.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Raises:
        UsageError: If there are no images, the teacher or the student is unknown or unfit, or the size does not fit.

    Example:
        >>> distillation_config('photos', 'timm/vit_base_patch16_dinov3', 'convnext_tiny')  # doctest: +SKIP
    """
    _check_folder(images)
    for argument, source in dict(teacher_weights=teacher_weights, student_weights=student_weights).items():
        if source is not None:
            check_checkpoint(source, argument, published=argument == 'student_weights')
    taught = teacher_config(teacher, size, teacher_weights)
    backbone, mean, std = _student(student, student_weights, from_scratch, size)
    num_images = len(images_in(images, 'images'))
    steps = epochs * math.ceil(num_images / (batch_size * count_processes(launcher)))
    # mmengine's LinearLR never rises in one step.
    warm_up = max(math.ceil(WARM_UP * steps), 2)
    name = f'distill_{file_name(student)}_{file_name(taught["model_name"])}'
    content = dict(
        default_scope='mmengine',
        num_images=num_images,
        custom_imports=dict(imports=[SCOPE], allow_failed_imports=False),
        model=dict(
            type=f'{SCOPE}.Distiller',
            data_preprocessor=dict(type='ImgDataPreprocessor', mean=mean, std=std),
            backbone=backbone,
            teacher=taught,
        ),
        train_dataloader=dict(
            batch_size=batch_size,
            num_workers=WORKERS,
            persistent_workers=WORKERS > 0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            dataset=dict(
                type=f'{SCOPE}.ImageFiles',
                data_prefix=dict(img=str(images)),
                pipeline=[dict(type='LoadImageFromFile'), dict(type=f'{SCOPE}.RandomView', size=size)],
            ),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=dict(type='AdamW', lr=lr, weight_decay=0.05),
            paramwise_cfg=NO_DECAY,
            clip_grad=dict(max_norm=3.0),
        ),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=warm_up),
            dict(type='CosineAnnealingLR', by_epoch=False, begin=warm_up, end=max(steps, warm_up + 1)),
        ],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2),
            logger=dict(type='LoggerHook', interval=LOG_INTERVAL),
        ),
        env_cfg=dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='nccl')),
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
    )
    cfg = Config(content, cfg_text='\n', filename=f'{name}.py')
    return load_config(cfg, work_dir, launcher=launcher)


def _check_folder(images: str | Path) -> None:
    if not Path(images).is_dir():
        kind = 'a file; give its folder' if Path(images).is_file() else 'no folder'
        raise UsageError(f'images: {images} is {kind}.')


def _student(name: str, weights: str | None, from_scratch: bool, size: int) -> tuple[dict, list, list]:
    """Return a student's config, and the mean and the standard deviation of its images."""
    if weights and from_scratch:
        raise UsageError('student_weights: with from_scratch, the student has none; give one of the two.')
    try:
        named = parse_backbone(name, STRIDES, pretrained=not from_scratch and not weights)
    except UsageError as error:
        raise UsageError(str(error).replace('backbone', 'student', 1)) from error
    if named.config['type'] != f'{SCOPE}.ConvNeXt':
        raise UsageError(
            f'student {name}: a student is a ConvNeXt of this package, such as convnext_tiny or convnextv2_atto.'
        )
    if size < max(STRIDES):
        raise UsageError(f'size: {size} is smaller than {max(STRIDES)}, the stride of the last stage.')
    start = dict(init_cfg=dict(type='Pretrained', checkpoint=weights)) if weights else {}
    return {**named.config, **start}, list(named.mean), list(named.std)
