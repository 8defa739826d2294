"""Configs by name."""

import pytest
from helpers.demo_runs import CONFIGS

from convnext_dense.config.find import find_config, our_configs
from convnext_dense.errors import UsageError


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
