"""`convnext-dense browse`."""

import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER


class TestBrowse:
    @pytest.mark.parametrize('config', [DETECTOR, SEGMENTER], ids=['detector', 'segmenter'])
    def test_says_where_the_page_is(self, command, tmp_path, config):
        result = command('browse', config, '--out', tmp_path / 'out', '--count', 2, '--seed', 3, '--split', 'val')
        assert result.status == 0, result.err
        assert result.err == ''
        lines = result.out.splitlines()
        assert lines[0] == '2 images of 8 in val.'
        assert f'Page: {tmp_path}/out/browse.html' in lines
        assert (tmp_path / 'out' / 'sheet-01.png').is_file()

    @pytest.mark.parametrize(
        ('arguments', 'says'),
        [
            (['--count', 0], '--count: it must be a whole number of at least 1'),
            (['--split', 'all'], 'argument --split: invalid choice'),
            (['--data', 'nowhere'], '--data: there is no nowhere'),
            (['--cfg-options', 'train_dataloader.dataset.data_root=nowhere'], 'there is no folder nowhere'),
        ],
    )
    def test_a_mistake_is_one_line_and_status_2(self, command, tmp_path, arguments, says):
        result = command('browse', DETECTOR, '--out', tmp_path, *arguments)
        assert result.status == 2
        assert says in result.error
