"""Two runs take their steps in turn, and train alike."""

import pytest
import torch
from helpers.demo_runs import SEGMENTER
from mmengine.runner.checkpoint import CheckpointLoader

from benchmarks.training.compare import prepare_config
from benchmarks.training.measured_run import MeasuredRun
from benchmarks.training.synthetic_data import take_batches
from convnext_dense.config import load_config


def float32_bytes(model):
    return 4 * sum(parameter.numel() for parameter in model.parameters())


def losses(run):
    scalars = run.runner.message_hub.log_scalars
    return {name: log.current() for name, log in scalars.items() if name.startswith('train/') and 'loss' in name}


class TestMeasuredRun:
    def test_runs_with_the_same_weights_train_alike(self, pair):
        first = pair.batches[0]
        expected = pair.theirs.deterministic_loss(first)
        assert expected > 0
        assert pair.ours.deterministic_loss(first) == pytest.approx(expected, rel=1e-4)
        shapes = [batch['data_samples'][0].img_shape for batch in pair.batches]
        for run in (pair.ours, pair.theirs):
            for _ in range(3):
                torch.manual_seed(0)
                run.step()
        ours, theirs = losses(pair.ours), losses(pair.theirs)
        assert ours == pytest.approx(theirs, rel=1e-2)
        assert ours['train/loss'] == pytest.approx(theirs['train/loss'], rel=1e-3)
        # The first batch came twice: a step leaves a batch as it was.
        assert [batch['data_samples'][0].img_shape for batch in pair.batches] == shapes
        assert all(batch['inputs'][0].dtype == torch.uint8 for batch in pair.batches)

    def test_another_weight_is_another_loss(self, pair):
        before = pair.theirs.deterministic_loss(pair.batches[0])
        weight = pair.theirs.model.rpn_head.rpn_cls.weight
        kept = weight.detach().clone()
        with torch.no_grad():
            weight.add_(0.1)
            assert pair.theirs.deterministic_loss(pair.batches[0]) != pytest.approx(before, rel=1e-3)
            weight.copy_(kept)

    def test_parameter_groups_are_those_of_the_other(self, pair):
        def rates(run):
            groups = run.runner.optim_wrapper.optimizer.param_groups
            return sorted(
                (round(group['initial_lr'], 9), group['weight_decay'], len(group['params'])) for group in groups
            )

        assert rates(pair.ours) == rates(pair.theirs)

    def test_settings_are_read_from_what_was_built(self, pair):
        ours, theirs = pair.ours.settings(), pair.theirs.settings()
        assert (ours['backbone'], theirs['backbone']) == ('convnext_dense.ConvNeXt', 'mmpretrain.ConvNeXt')
        for settings in (ours, theirs):
            assert settings['precision'] == 'float32'
            assert not settings['fused'] and not settings['channels_last']
        assert 'EMALikeHook' in ours['hooks'] and 'EMALikeHook' not in theirs['hooks']

    def test_no_weights_are_read_or_downloaded(self, tmp_path, monkeypatch):
        def refuse(*arguments, **options):
            raise AssertionError('weights are read')

        monkeypatch.setattr(CheckpointLoader, 'load_checkpoint', refuse)
        cfg = prepare_config(load_config(str(SEGMENTER)), tmp_path / 'data', batch_size=2, scale=0.2)
        cfg.load_from = 'https://nowhere.invalid/model.pth'
        cfg.model.pretrained = 'open-mmlab://resnet18_v1c'
        init = dict(type='Pretrained', checkpoint='torchvision://resnet18')
        cfg.model.backbone = dict(type='mmseg.ResNetV1c', depth=18, init_cfg=init)
        for head in (cfg.model.decode_head, cfg.model.auxiliary_head):
            head.in_channels = [64, 128, 256, 512] if isinstance(head.in_channels, list) else 256
        cfg.custom_hooks = [dict(type='convnext_dense.PrefetchOnCPUHook')]
        run = MeasuredRun(cfg, str(tmp_path / 'work_dir'), 'offline')
        assert run.model.backbone.layer4[0].conv1.weight.std() > 0
        # Also in a loop by iterations, hooks replace the iterator that batches come from.
        run.start(take_batches(run.loader, 2))
        run.step()
        assert len(run.runner.train_loop.dataloader_iterator.moved) == 1


class TestAllocatedBytes:
    def test_has_the_models_that_hooks_keep(self, pair):
        # The other copy, and buffers.
        assert 2 * float32_bytes(pair.ours.model) <= pair.allocated < 2.02 * float32_bytes(pair.ours.model)

    def test_has_the_optimizers_state(self, pair):
        pair.theirs.step()
        # AdamW keeps two averages of each gradient.
        assert pair.theirs.allocated_bytes() >= 3 * float32_bytes(pair.theirs.model)

    def test_has_a_batch_that_was_prefetched(self, pair):
        pair.ours.step()
        with_the_next = pair.ours.allocated_bytes()
        batch = pair.ours.next_batch()
        assert with_the_next - pair.ours.allocated_bytes() >= sum(image.nbytes for image in batch['inputs'])
