"""`convnext-dense distill`: it trains, resumes, and its file is a backbone that `train --backbone` takes."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest
import torch
from helpers.commands import run_command
from helpers.demo_runs import DETECTOR, FEW_STEPS
from helpers.distillations import ARGUMENTS, STUDENT

from convnext_dense import create_backbone
from convnext_dense.weights.storage.files import read_file


def losses(folder, work_dir):
    """Return the loss of each step that a run logged."""
    entries = {}
    for file in sorted((folder / work_dir).glob('*/vis_data/scalars.json')):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        entries.update({line['step']: line['loss'] for line in lines if 'loss' in line})
    return entries


class TestDistill:
    def test_writes_a_backbone_with_its_origin(self, folder, distill):
        result = distill()
        assert result.status == 0, result.err
        assert 'backbone: run/backbone.safetensors, by timm/test_vit (license apache-2.0).' in result.out
        content = read_file(folder / 'run' / 'backbone.safetensors')
        trained = read_file(folder / 'run' / 'epoch_2.pth')['state_dict']
        assert {name.split('.')[0] for name in trained} == {'backbone', 'heads', 'standardize'}
        assert torch.equal(content['state_dict']['norm3.weight'], trained['backbone.norm3.weight'])
        # The norms of stages that did not learn.
        assert torch.equal(content['state_dict']['norm0.weight'], torch.ones(8))
        origin = content['meta']['distillation']
        assert origin.items() >= dict(teacher='timm/test_vit', teacher_weights='teacher.pth', epochs=2).items()
        assert origin.items() >= dict(teacher_license='apache-2.0', student_weights='random', images=8).items()
        inspected = run_command(folder, 'weights', 'inspect', 'run/backbone.safetensors')
        assert inspected.status == 0
        assert 'official layout' in inspected.out
        assert 'teacher timm/test_vit' in inspected.out
        assert run_command(folder, 'weights', 'convert', 'run/backbone.safetensors', 'converted.pth').status == 0
        assert read_file(folder / 'converted.pth')['meta']['distillation'] == origin

    def test_its_backbone_starts_a_detector(self, folder, distill, command):
        named = re.search('to start from it: --backbone "(.*)"', distill().out)[1]
        named = named.replace('run/', f'{folder}/run/')
        options = [*FEW_STEPS, 'train_cfg.max_epochs=1', 'val_evaluator.metric=bbox']
        options += ['train_dataloader.dataset.indices=4', 'val_dataloader.dataset.indices=1']
        flags = ['--backbone', named, '--work-dir', folder / 'detector']
        result = command('train', DETECTOR, *flags, '--cfg-options', *options)
        assert result.status == 0, result.err
        assert f'weights: {folder / "run" / "backbone.safetensors"}' in result.out
        backbone = create_backbone(named).backbone
        file = read_file(folder / 'run' / 'backbone.safetensors')['state_dict']
        assert all(torch.equal(tensor, file[name]) for name, tensor in backbone.state_dict().items())

    def test_resumed_equals_one_that_was_never_stopped(self, folder, distill, monkeypatch):
        monkeypatch.setattr('convnext_dense.distillation.recipe.LOG_INTERVAL', 1)
        assert distill().status == 0
        work_dir = folder / 'stopped'
        work_dir.mkdir()
        # As a kill leaves it.
        shutil.copy(folder / 'run' / 'epoch_1.pth', work_dir)
        (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_1.pth'))
        result = distill('--work-dir', 'stopped', '--resume')
        assert result.status == 0, result.err
        whole, resumed = losses(folder, 'run'), losses(folder, 'stopped')
        assert set(whole) == {1, 2, 3, 4}
        assert resumed == {step: whole[step] for step in (3, 4)}
        own, other = (read_file(folder / run / 'epoch_2.pth')['state_dict'] for run in ('run', 'stopped'))
        assert all(torch.equal(tensor, other[name]) for name, tensor in own.items())

    def test_that_resumes_and_is_finished_writes_the_file_again(self, folder, distill):
        assert distill('--out', 'first.pth').status == 0
        result = distill('--resume')
        assert result.status == 0, result.err
        assert 'resume: ' in result.out
        first = read_file(folder / 'first.pth')['state_dict']
        second = read_file(folder / 'run' / 'backbone.safetensors')['state_dict']
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
        assert distill('--resume').status == 0

    def test_in_bf16_on_a_cpu(self, folder, distill):
        result = distill('--speed', 'bf16', '--epochs', 1)
        assert result.status == 0, result.err
        weights = read_file(folder / 'run' / 'backbone.safetensors')['state_dict']
        assert {tensor.dtype for tensor in weights.values()} == {torch.float32}

    def test_starts_from_a_file_of_weights(self, folder, distill):
        torch.save(create_backbone(STUDENT).backbone.state_dict(), folder / 'first.pth')
        # Without --from-scratch.
        options = [part for part in ARGUMENTS if part != '--from-scratch']
        result = run_command(folder, 'distill', *options, '--student-weights', 'first.pth', '--epochs', 1)
        assert result.status == 0, result.err
        assert 'weights: first.pth' in result.out
        origin = read_file(folder / 'run' / 'backbone.safetensors')['meta']['distillation']
        assert origin['student_weights'] == 'first.pth'


class TestOtherOptionsOnResume:
    @pytest.fixture
    def finished(self, folder, distill):
        assert distill('--epochs', 1).status == 0
        shutil.copy(folder / 'teacher.pth', folder / 'other.pth')
        return (folder / 'run' / 'backbone.safetensors').read_bytes()

    def test_another_teacher_or_student_is_refused(self, folder, distill, finished):
        differences = {
            'model.teacher.model_name (test_vit2 instead of test_vit)': ('--teacher', 'timm/test_vit2'),
            'model.teacher.checkpoint (other.pth instead of teacher.pth)': ('--teacher-weights', 'other.pth'),
            'model.backbone.arch.channels.0 (4 instead of 8)': ('--student', STUDENT.replace('[8,8', '[4,8')),
        }
        for difference, options in differences.items():
            for epochs in 1, 2:
                result = distill('--resume', '--epochs', epochs, *options)
                assert result.status == 2
                assert f'resume: run/epoch_1.pth is of another distillation, by {difference};' in result.error
                assert (folder / 'run' / 'backbone.safetensors').read_bytes() == finished

    def test_a_teacher_in_another_folder_is_the_same(self, folder, distill, finished):
        (folder / 'moved').mkdir()
        shutil.move(folder / 'teacher.pth', folder / 'moved')
        assert distill('--resume', '--teacher-weights', 'moved/teacher.pth').status == 0

    def test_another_size_and_more_epochs_are_taken(self, folder, distill, finished):
        result = distill('--resume', '--epochs', 3, '--size', 32, '--resume-with', 'config')
        assert result.status == 0
        assert 'model.teacher.image_size (32 instead of 64)' in result.err
        assert read_file(folder / 'run' / 'epoch_3.pth')['param_schedulers'][1]['end'] == 6

    def test_a_finished_one_elsewhere_is_what_is_written(self, folder, distill, finished):
        assert distill('--work-dir', 'second', '--resume', 'run/epoch_1.pth', '--epochs', 1).status == 0
        file = read_file(folder / 'second' / 'backbone.safetensors')
        trained = read_file(folder / 'run' / 'epoch_1.pth')['state_dict']
        assert torch.equal(file['state_dict']['norm3.weight'], trained['backbone.norm3.weight'])


class TestMistakes:
    @pytest.mark.parametrize(
        ('options', 'sentence'),
        [
            (['--images', 'nowhere'], '--images: nowhere is no folder.'),
            (['--images', 'teacher.pth'], '--images: teacher.pth is a file; give its folder.'),
            (['--images', 'empty'], '--images: there is no image in empty (.bmp'),
            (['--teacher', 'timm/resnet10t'], '--teacher timm/resnet10t: it has no patch tokens'),
            (['--teacher-weights', 'nowhere.pth'], '--teacher-weights: there is no file nowhere.pth.'),
            (['--teacher', 'timm/test_vit2', '--teacher-weights', 'teacher.pth'], "does not fit timm's test_vit2"),
            (['--student', 'convnext_huger'], '--student convnext_huger: there is no ConvNeXt of that name'),
            (['--student', 'timm/resnet10t'], '--student timm/resnet10t: a student is a ConvNeXt of this package'),
            (['--student-weights', 'a.pth'], 'there is no file a.pth'),
            (['--student-weights', 'teacher.pth'], '--student-weights: with --from-scratch, the student has none'),
            (['--size', '40'], "--size: 40 is no multiple of 16, the teacher's patch size; take 32 or 48."),
            (['--size', '16'], '--size: 16 is smaller than 32'),
            (['--speed', 'waits'], '--speed: waits has no effect here; choose from channels_last, bf16'),
            (['--lr', '0'], 'it must be a number above 0'),
            (['--out', 'teacher.pth'], '--out: teacher.pth is there already'),
            (['--resume-with', 'config'], '--resume-with says how to resume; give resume, too.'),
            (['--work-dir', 'r\udcffn'], '--work-dir: the names of the folder and of those around it must be UTF-8'),
            (['--out', 'r\udcffn.safetensors'], 'the name of a safetensors file and of its folder must be UTF-8'),
            (['--out', 'a.onnx'], '--out: a.onnx: the name of the output must end in one of .pth'),
        ],
    )
    def test_are_one_sentence(self, folder, distill, options, sentence):
        (folder / 'empty').mkdir()
        result = distill(*options)
        assert result.status == 2
        assert sentence in result.error

    def test_an_unreadable_image_is_named_and_replaced(self, folder, distill):
        (folder / 'images' / '0.png').write_bytes(b'nothing')
        result = distill('--epochs', 1)
        assert result.status == 0, result.err
        assert 'images/0.png: it cannot be decoded as an image' in result.out
        assert 'Another sample takes its place' in result.out

    def test_images_of_which_none_can_be_read_end_the_run(self, folder, distill):
        for file in (folder / 'images').rglob('*.png'):
            file.write_bytes(b'nothing')
        result = distill()
        assert result.status == 2
        assert 'cannot be read' in result.error

    def test_a_file_that_cannot_be_written_says_what_is_kept(self, folder, distill, monkeypatch):
        def fail(*arguments, **options):
            raise OSError(28, 'No space left on device')

        monkeypatch.setattr('convnext_dense.weights.storage.files.save_file', fail)
        result = distill('--epochs', 1)
        assert result.status == 1
        assert 'No space left on device. The training is kept in run; resume writes the file.' in result.error

    def test_images_of_16_bits_that_the_loader_makes_black_are_said(self, folder, distill):
        dark = np.arange(80 * 60, dtype=np.uint16).reshape(60, 80) % 200
        cv2.imwrite(str(folder / 'images' / 'dark.png'), dark)
        result = distill('--epochs', 1)
        assert result.status == 0
        assert 'dark.png has 16 bits and values from 0 to 199, of which the loader keeps 1 levels' in result.err
        assert 'convert the images to 3 channels of 8 bits' in result.err
