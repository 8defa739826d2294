"""Folders that cannot be written to, and addresses of weights that nothing reads."""

import os

import pytest
from mmengine.config import Config

from convnext_dense.checks.addresses import address_problem, find_addresses
from convnext_dense.checks.outputs import find_outputs
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.config.machine import check_folder, check_launcher, check_output_file
from convnext_dense.errors import UsageError


class TestOutputs:
    @pytest.mark.parametrize('key', ['work_dir', 'default_hooks.checkpoint.out_dir', 'test_evaluator.output_dir'])
    @pytest.mark.parametrize('folder', ['/proc/new', os.devnull, os.path.join(__file__, 'new')])
    def test_a_folder_that_cannot_be_written_to_is_named(self, key, folder):
        cfg = Config(dict(default_hooks=dict(checkpoint=dict()), test_evaluator=dict()))
        cfg.merge_from_dict({key: folder})
        (finding,) = find_outputs(RunPlan(cfg, ('train',)))
        assert finding.sentence.startswith(f'{key}: ')

    @pytest.mark.parametrize('place', ['run\udcff', 'of\udcff/run'])
    def test_a_run_writes_the_name_of_its_folder_into_files(self, place, tmp_path, monkeypatch):
        (tmp_path / place).mkdir(parents=True)
        monkeypatch.chdir((tmp_path / place).parent)
        (finding,) = find_outputs(RunPlan(Config(dict(work_dir=os.path.basename(place))), ('train',)))
        assert 'work_dir: the names of the folder and of those around it must be UTF-8' in finding.sentence

    def test_a_new_folder_is_not_made(self, tmp_path):
        check_folder(tmp_path / 'a' / 'b', 'work_dir')
        check_output_file(tmp_path / 'c' / 'd.pth', 'output')
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_is_no_file(self, tmp_path):
        with pytest.raises(UsageError, match=f'output: {tmp_path} is a folder; give a file'):
            check_output_file(tmp_path, 'output')

    def test_a_device_is_no_file(self):
        with pytest.raises(UsageError, match=f'output: {os.devnull} is a device; give a file'):
            check_output_file(os.devnull, 'output')


class TestAddresses:
    @pytest.mark.parametrize(
        ('address', 'problem'),
        [
            ('s3://a/b.pth', 'needs the package petrel_client'),
            ('cluster:s3://a/b.pth', 'needs the package petrel_client'),
            ('petrel://a/b.pth', 'needs the package petrel_client'),
            ('pavi://a', 'needs the package pavi'),
            ('ftp://a/b.pth', 'nothing reads addresses that begin with ftp://'),
            ('open-mmlab://resnet5', 'there are no weights of that name'),
        ],
    )
    def test_that_nothing_reads_are_named_by_their_key(self, address, problem):
        init_cfg = dict(type='Pretrained', checkpoint=address)
        cfg = Config(dict(load_from=address, model=dict(heads=[dict(init_cfg=init_cfg)])))
        sentences = [finding.sentence for finding in find_addresses(RunPlan(cfg, ('train',), address))]
        assert [sentence.partition(': ')[0] for sentence in sentences] == [
            'load_from',
            'model.heads.0.init_cfg.checkpoint',
        ]
        assert all(problem in sentence for sentence in sentences)

    @pytest.mark.parametrize(
        'address',
        ['a.pth', 'C:/a.pth', 'https://a.b/c.pth', 'timm://resnet50', 'huggingface://a/b', 'torchvision://resnet50'],
    )
    def test_others_pass(self, address):
        assert address_problem(address) is None


class TestLauncher:
    @pytest.mark.parametrize(
        ('launcher', 'variables'),
        [('pytorch', 'RANK, LOCAL_RANK'), ('slurm', 'SLURM_PROCID'), ('mpi', 'OMPI_COMM_WORLD_RANK')],
    )
    def test_without_its_variables_is_an_error_that_names_them(self, launcher, variables, monkeypatch):
        for name in list(os.environ):
            if name.startswith(('SLURM_', 'OMPI_')) or name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR'):
                monkeypatch.delenv(name)
        with pytest.raises(UsageError, match=f'launcher: {launcher} needs {variables}'):
            check_launcher(launcher)
