"""The configs of the roadmap from ResNet-50 to ConvNeXt-T, and of LN against BN."""

import pytest
import torch
from helpers.zoo import CONFIGS, config, differences, leaves, names
from torch.utils.flop_counter import FlopCounterMode

from convnext_dense.backbones import ModernizedResNet
from convnext_dense.meta_device import build_on_meta, without_allocating
from convnext_dense.optim import LayerDecayOptimWrapperConstructor

# The switch of each step.
STEPS = {
    'resnet-50': {},
    'stage-ratio': dict(depths=[3, 3, 9, 3]),
    'patchify-stem': dict(patchify_stem=True),
    'depthwise': dict(depthwise=True),
    'width-96': dict(width=96),
    'inverted-bottleneck': dict(inverted_bottleneck=True),
    'depthwise-first': dict(depthwise_first=True),
    'kernel-7': dict(kernel_size=7),
    'gelu': dict(act_cfg=dict(type='GELU')),
    'fewer-activations': dict(fewer_activations=True),
    'fewer-norms': dict(fewer_norms=True),
    'layer-norm': dict(norm_cfg=dict(type='LN2d', eps=1e-6)),
    'separate-downsampling': dict(separate_downsampling=True),
}
DETECTORS = [f'roadmap/mask-rcnn_roadmap-{i:02}-{name}_fpn_amp-1x_coco.py' for i, name in enumerate(STEPS)]
SEGMENTERS = [f'roadmap/upernet_roadmap-{i:02}-{name}_8xb2-amp-160k_ade20k-512x512.py' for i, name in enumerate(STEPS)]
PUBLISHED = {
    'mmdet': 'mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py',
    'mmseg': 'upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py',
}
BATCHES = [16, 4, 2]
ITERS = {16: 20000, 4: 80000, 2: 160000}


def batch_config(task, norm, batch):
    if task == 'mmdet':
        return f'roadmap/mask-rcnn_convnext-t-{norm}_fpn_8xb{batch}-amp-1x_coco.py'
    return f'roadmap/upernet_convnext-t-{norm}_8xb{batch}-amp-{ITERS[batch] // 1000}k_ade20k-512x512.py'


def learning_rates(model, cfg):
    """Count the parameters that train at each learning rate and weight decay."""
    constructor = LayerDecayOptimWrapperConstructor(
        dict(type='OptimWrapper', optimizer=cfg.optim_wrapper.optimizer), cfg.optim_wrapper.paramwise_cfg
    )
    counts = {}
    for group in constructor(torch.nn.ModuleDict(dict(backbone=model))).optimizer.param_groups:
        key = (group['lr'], group['weight_decay'])
        counts[key] = counts.get(key, 0) + sum(param.numel() for param in group['params'])
    return counts


class TestSteps:
    @pytest.mark.parametrize('step', range(1, len(STEPS)), ids=list(STEPS)[1:])
    @pytest.mark.parametrize('names', [DETECTORS, SEGMENTERS], ids=['mmdet', 'mmseg'])
    def test_step_differs_from_the_one_before_by_its_switch(self, names, step):
        different = differences(config(names[step - 1]), config(names[step]))
        widths = {key for key in different if key.endswith('in_channels')}
        assert bool(widths) == (list(STEPS)[step] in ('width-96', 'inverted-bottleneck'))
        switch = {key: value for key, value in different.items() if key not in widths}
        assert switch == dict(leaves(list(STEPS.values())[step], 'model.backbone'))

    @pytest.mark.parametrize('step', range(len(STEPS)), ids=list(STEPS))
    def test_backbone_has_the_readmes_figures_and_the_recipe(self, step):
        lines = (CONFIGS / 'roadmap/README.md').read_text().splitlines()
        cells = next(line for line in lines if line.startswith(f'| {step:02} | ')).split(' | ')
        for name, drop_path_rate in ((SEGMENTERS[step], 0.4), (DETECTORS[step], 0.2)):
            cfg = config(name)
            backbone = build_on_meta(cfg.model.backbone, cfg.default_scope)
            assert isinstance(backbone, ModernizedResNet)
            assert backbone.stages[-1][-1].drop_path.drop_prob == drop_path_rate
            assert all(block.gamma is not None for stage in backbone.stages for block in stage)
        with FlopCounterMode(display=False) as counter, without_allocating():
            backbone(torch.empty(1, 3, 224, 224))
        params = sum(param.numel() for param in backbone.parameters())
        assert cells[3:5] == [f'{params / 1e6:.1f}M', f'{counter.get_total_flops() / 2e9:.2f}G']

    def test_segmenters_have_the_published_recipe_from_scratch(self):
        different = differences(config(PUBLISHED['mmseg']), config(SEGMENTERS[0]))
        heads = {'model.decode_head.in_channels', 'model.auxiliary_head.in_channels'}
        assert {key for key in different if not key.startswith('model.backbone.')} == heads
        backbone = config(SEGMENTERS[0]).model.backbone
        assert backbone.drop_path_rate == config(PUBLISHED['mmseg']).model.backbone.drop_path_rate

    def test_detectors_have_the_published_optimizer_for_12_epochs(self):
        published, ours = config(PUBLISHED['mmdet']), config(DETECTORS[0])
        assert ours.optim_wrapper == published.optim_wrapper
        assert ours.auto_scale_lr == published.auto_scale_lr
        assert ours.train_cfg.max_epochs == ours.param_scheduler[1].end == 12
        assert ours.model.backbone.layer_scale_init_value == published.model.backbone.layer_scale_init_value
        assert not any('Crop' in step.type for step in ours.train_dataloader.dataset.pipeline)

    @pytest.mark.parametrize('task', PUBLISHED)
    def test_last_step_trains_at_convnexts_learning_rates(self, task):
        cfg = config((DETECTORS if task == 'mmdet' else SEGMENTERS)[-1])
        backbones = [build_on_meta(other.model.backbone, task) for other in (config(PUBLISHED[task]), cfg)]
        convnexts, ours = (learning_rates(backbone, cfg) for backbone in backbones)
        assert ours == convnexts


@pytest.mark.parametrize('batch', BATCHES)
class TestLayerNormAgainstBatchNorm:
    @pytest.mark.parametrize(('norm', 'kind'), [('ln', 'LayerNorm2d'), ('bn', 'BatchNorm2d')])
    @pytest.mark.parametrize('task', PUBLISHED)
    def test_backbone_has_the_norm_and_no_pretrained_weights(self, task, norm, kind, batch):
        cfg = config(batch_config(task, norm, batch))
        backbone = build_on_meta(cfg.model.backbone, task)
        kinds = {type(module).__name__ for module in backbone.modules()}
        assert {name for name in kinds if 'Norm' in name} == {kind}
        assert backbone.init_cfg['type'] == 'TruncNormal'

    @pytest.mark.parametrize('task', PUBLISHED)
    def test_pair_differs_by_the_norm_alone(self, task, batch):
        different = differences(config(batch_config(task, 'ln', batch)), config(batch_config(task, 'bn', batch)))
        assert different == {'model.backbone.norm_cfg.type': 'BN'}

    @pytest.mark.parametrize('task', PUBLISHED)
    def test_learning_rate_is_scaled_with_the_batch(self, task, batch):
        cfg = config(batch_config(task, 'ln', batch))
        assert cfg.train_dataloader.batch_size == batch
        assert cfg.auto_scale_lr.base_batch_size == 8 * batch
        assert not cfg.auto_scale_lr.enable
        assert cfg.optim_wrapper.optimizer.lr == pytest.approx(1e-4 * 8 * batch / 16)

    def test_as_many_images_are_seen_at_each_batch_size(self, batch):
        assert config(batch_config('mmdet', 'bn', batch)).train_cfg.max_epochs == 12
        cfg = config(batch_config('mmseg', 'bn', batch))
        # The published recipe sees as many.
        assert cfg.train_cfg.max_iters * batch == 160000 * 2
        assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == 10 * cfg.train_cfg.val_interval
        assert cfg.default_hooks.checkpoint.interval == cfg.train_cfg.val_interval


def test_every_config_of_the_roadmap_is_tested_here():
    pairs = [batch_config(task, norm, batch) for task in PUBLISHED for norm in ('ln', 'bn') for batch in BATCHES]
    assert sorted([*DETECTORS, *SEGMENTERS, *pairs]) == names('roadmap')
