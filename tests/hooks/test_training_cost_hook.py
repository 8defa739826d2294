"""What a run costs and scores."""

from types import SimpleNamespace

import torch

from convnext_dense.hooks import DivergenceHook, TrainingCostHook, read_training_cost


def make_runner(folder, iteration=0):
    return SimpleNamespace(work_dir=str(folder), iter=iteration, val_loop=None, hooks=[], _resume=True)


def train(hook, steps):
    for i in range(steps):
        hook.before_train_iter(None, i)
        hook.after_train_iter(None, i, dict(inputs=[torch.zeros(1)] * 2))


class TestTrainingCostHook:
    def test_what_it_writes_is_read(self, tmp_path):
        hook = TrainingCostHook()
        train(hook, 8)
        hook.after_val_epoch(None, {'coco/bbox_mAP': 0.5})
        hook.after_train(make_runner(tmp_path, 8))
        cost = read_training_cost(tmp_path)
        assert cost['metrics'] == {'coco/bbox_mAP': 0.5}
        assert (cost['iterations'], cost['processes']) == (8, 1)
        assert cost['images_per_second'] > 0
        assert cost['peak_memory'] > 1e6

    def test_steps_that_were_left_out_are_counted(self, tmp_path):
        hook, divergence = TrainingCostHook(), DivergenceHook('skip')
        divergence.skipped = 2
        runner = make_runner(tmp_path)
        runner.hooks.append(divergence)
        hook.after_val_epoch(None, {'mIoU': 50.0})
        hook.after_train(runner)
        assert read_training_cost(tmp_path)['skipped_steps'] == 2

    def test_a_resumed_run_counts_what_came_before(self, tmp_path):
        first, second = TrainingCostHook(), TrainingCostHook()
        first.seconds = 100.0
        train(first, 2)
        checkpoint = {}
        first.before_save_checkpoint(None, checkpoint)
        second.after_load_checkpoint(make_runner(tmp_path), checkpoint)
        train(second, 1)
        assert second.seconds > 100
        assert len(second.rates) == 3

    def test_an_unfinished_run_has_no_cost(self, tmp_path):
        assert read_training_cost(tmp_path) is None
