"""timm's models by family, each as the backbone of a detector and of a segmenter."""

import copy

import pytest
import timm
import torch
from helpers.data.batches import detection_batch, segmentation_batch
from helpers.zoo import config
from mmengine.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, DefaultScope

from convnext_dense.config import set_backbone

DETECTOR = 'demo/mask-rcnn_convnext-demo_fpn_demo-coco.py'
SEGMENTER = 'demo/upernet_convnext-demo_demo-ade20k.py'
# Depths are cut if a family has no small model. These are tried in both, and the others in one, in turn.
IN_BOTH = ['resnet10t', 'swin_tiny_patch4_window7_224(depths=(1, 1, 1, 1))', 'vit_tiny_patch16_224(depth=2)']
IN_TURN = [
    *('convnext_atto', 'resnext26ts', 'efficientnet_lite0', 'mobilenetv3_small_050', 'mobilenetv4_conv_small_050'),
    *('regnetx_002', 'swinv2_tiny_window8_256(depths=(1, 1, 1, 1))', 'convnextv2_atto', 'fastvit_t8'),
    *('mambaout_femto', 'pvt_v2_b0', 'poolformerv2_s12', 'deit3_small_patch16_224(depth=2)'),
    *('vit_small_patch14_dinov2(depth=2)', 'vit_small_patch16_dinov3(depth=2)', 'eva02_tiny_patch14_224(depth=2)'),
    'xcit_nano_12_p16_224(depth=2)',
]
CASES = [(base, name) for name in IN_BOTH for base in (DETECTOR, SEGMENTER)]
CASES += [((DETECTOR, SEGMENTER)[i % 2], name) for i, name in enumerate(IN_TURN)]
FAST = CASES[:3] + [case for case in CASES if case[1].startswith(('vit_tiny', 'vit_small_patch14', 'convnext_'))]
BATCHES = {DETECTOR: detection_batch, SEGMENTER: segmentation_batch}


def test_there_are_twenty_models_of_ten_families():
    names = IN_BOTH + IN_TURN
    families = {timm.model_entrypoint(name.split('(')[0]).__module__ for name in names}
    assert len(names) >= 20
    assert len(families) >= 10


@pytest.mark.parametrize(
    ('base', 'name'), [pytest.param(*case, marks=() if case in FAST else pytest.mark.full) for case in CASES]
)
def test_takes_a_training_step_with_layer_decay(base, name):
    cfg = copy.deepcopy(config(base))
    set_backbone(cfg, f'timm/{name}', pretrained=False)
    cfg.optim_wrapper.paramwise_cfg.decay_rate = 0.7
    if base == SEGMENTER:
        # The batch has ADE20K's classes.
        cfg.model.decode_head.num_classes = cfg.model.auxiliary_head.num_classes = 150
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model).train()
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type=cfg.optim_wrapper.constructor,
            paramwise_cfg=cfg.optim_wrapper.paramwise_cfg,
            optim_wrapper_cfg=dict(type='OptimWrapper', optimizer=cfg.optim_wrapper.optimizer),
        )
    )
    optim_wrapper = constructor(model)
    scales = {
        parameter: group['lr_scale']
        for group in optim_wrapper.optimizer.param_groups
        for parameter in group['param_names']
    }
    backbone = {f'backbone.{name}': parameter for name, parameter in model.backbone.named_parameters()}
    before = {key: parameter.detach().clone() for key, parameter in backbone.items()}
    loss, _ = model.parse_losses(model(**model.data_preprocessor(BATCHES[base](), True), mode='loss'))
    loss.backward()
    # Distributed training would wait for a parameter without a gradient.
    assert not [key for key, parameter in backbone.items() if parameter.grad is None]
    optim_wrapper.step()
    assert loss.isfinite()
    changed = [key for key, parameter in backbone.items() if not torch.equal(parameter, before[key])]
    assert len(changed) > len(before) / 3
    lowest = min(scales[key] for key in before)
    assert lowest < 0.7 < max(scales[key] for key in scales) == 1
