"""Two processes distill as one does on their joint batch."""

import pytest
from helpers.distillations import ARGUMENTS, STUDENT, TEACHER
from helpers.several.joint_batch import COMMON, JOINT_BATCH, Case
from helpers.several.processes import run_in_processes

from convnext_dense.config import load_config
from convnext_dense.distillation import distillation_config
from convnext_dense.weights.storage.files import read_file

pytestmark = pytest.mark.e2e


class DistillCase(Case):
    """A distillation, by one process and by several, from the config that its work dir has."""

    def __init__(self, folder):
        self.folder = folder
        self.config = folder / 'distillation.py'
        arguments = dict(teacher_weights=str(folder / 'teacher.pth'), from_scratch=True, epochs=2, size=64)
        distillation_config(folder / 'images', TEACHER, STUDENT, **arguments).dump(self.config)

    def command(self, processes):
        """Return the arguments of the training by as many processes."""
        # Their optimizer and schedule take the place of the recipe's, whose groups have a decay.
        options = [option for option in COMMON if not option.startswith(('val_', 'test_'))]
        options.append('optim_wrapper.optimizer.weight_decay=0.05')
        options.append(f'train_dataloader.batch_size={JOINT_BATCH // processes}')
        return ['train', self.config, '--work-dir', self.folder / str(processes), '--cfg-options', *options]

    def weights(self, processes):
        """Return the weights that as many processes have trained."""
        return read_file(self.folder / str(processes) / 'epoch_2.pth')['state_dict']


def test_weights_and_losses_are_those_of_one_process(folder, demo_data, command):
    case = DistillCase(folder)
    assert load_config(case.config).model.type == 'convnext_dense.Distiller'
    run_in_processes(2, demo_data, [case.command(2)], folder)
    result = command(*case.command(1))
    assert result.status == 0, result.err
    case.check_equal(1, 2)
    assert any(name.startswith('standardize') for name in case.weights(2))


def test_one_of_the_processes_writes_the_backbone(folder):
    run_in_processes(2, folder, [['distill', *ARGUMENTS, '--epochs', 1, '--batch-size', 2]], folder)
    origin = read_file(folder / 'run' / 'backbone.safetensors')['meta']['distillation']
    assert origin['epochs'] == 1
