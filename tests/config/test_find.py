"""Configs by name."""

import pytest
from helpers.commands import run_command
from helpers.demo_runs import CONFIGS

from convnext_dense.config.find import check_file, find_config, is_model, our_configs
from convnext_dense.config.machine import check_folder
from convnext_dense.errors import UsageError
from convnext_dense.weights.storage.checksums import verify_checksums


class TestNames:
    def test_every_config_has_a_name_of_its_own(self):
        files = [file for file in CONFIGS.glob('*/*.py') if file.parent.name != '_base_']
        assert len(our_configs()) == len(files) > 100

    @pytest.mark.parametrize('suffix', ['', '.py'])
    def test_a_file_comes_first(self, tmp_path, monkeypatch, suffix):
        name = f'mask-rcnn_convnext-t_fpn_amp-1x_coco{suffix}'
        (tmp_path / name).touch()
        monkeypatch.chdir(tmp_path)
        assert find_config(name).resolve() == tmp_path / name

    def test_a_name_is_found_from_anywhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert find_config('mask-rcnn_convnext-t_fpn_amp-1x_coco').is_file()

    def test_a_packages_config_is_named_as_in_base(self):
        assert find_config('mmseg::pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py').is_file()


class TestMistakes:
    def test_a_folder_is_named_as_one(self, tmp_path):
        with pytest.raises(UsageError, match='is a folder; give a file'):
            find_config(str(tmp_path))

    @pytest.mark.parametrize(
        ('name', 'message'),
        [
            # Ambiguous, misspelled, in a folder that is not there, and nothing of the kind.
            ('mask-rcnn_convnext-t_fpn', r'nearest names are mask-rcnn_convnext-t_fpn_amp-1x_coco, mask-rcnn_conv'),
            ('mask-rcn_convnext-t_fpn_amp-1x_coco', 'nearest names are mask-rcnn_convnext-t_fpn_amp-1x_coco'),
            (
                'configs/mask-rcnn_convnext-t_fpn_amp-1x_coco.py',
                'no file .*config of that name is mask-rcnn_convnext-t',
            ),
            ('nowhere.py', r'there is no file nowhere\.py\.'),
            ('qqqqqqq', r'there is no config qqqqqqq\.'),
            (
                'mmdet::mask_rcnn/mask-rcnn_r5_fpn_1x_coco.py',
                'mmdet has no config .*mask_rcnn/mask-rcnn_r50_fpn_1x_coco',
            ),
            ('nothing::a.py', 'there is no package nothing'),
            ('', 'its name is empty'),
            ('mmdet::/etc/passwd', 'mmdet has no config /etc/passwd'),
            ('mmdet::../setup.py', r'mmdet has no config \.\./setup\.py'),
        ],
    )
    def test_lists_the_nearest(self, name, message):
        with pytest.raises(UsageError, match=message):
            find_config(name)


class TestAHomeOfNobody:
    """`~name` is somebody's home, and a file of that name if there is no such user."""

    def test_is_no_file(self):
        with pytest.raises(UsageError, match=r'checkpoint: there is no file ~nobody_here/a\.pth'):
            check_file('~nobody_here/a.pth', 'checkpoint')

    def test_is_no_model(self):
        assert not is_model('~nobody_here')

    def test_may_be_where_a_run_writes(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        verify_checksums('~nobody_here.pth')
        check_folder('~nobody_here/run', 'work_dir')

    @pytest.mark.parametrize('command', ['train', 'test', 'predict', 'flops', 'export', 'explain'])
    def test_is_answered_in_one_line(self, command, tmp_path):
        result = run_command(
            tmp_path, command, '~nobody_here', *(['~nobody_here'] if command in ('test', 'predict') else [])
        )
        assert result.status == 2
        assert result.err.startswith('error: ') and 'nobody_here' in result.err
