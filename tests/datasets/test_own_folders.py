"""Names of files that lead out of a dataset."""

import json
import os

import pytest
from helpers.data.small_datasets import DetectorData, SegmenterData
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import DATASETS, DefaultScope

from convnext_dense.checks.files import find_in_files
from convnext_dense.datasets.checked_loading import check_dataset_while_loading
from convnext_dense.datasets.own_folders import leading_out, own_folders
from convnext_dense.errors import UsageError


def rename(data, name, split='train'):
    file = data.root / f'{split}.json'
    content = json.loads(file.read_text())
    content['images'][0]['file_name'] = name
    file.write_text(json.dumps(content))


def load(data, skip_check=(), **options):
    cfg = {**data.cfg.to_dict()['train_dataloader']['dataset'], **options}
    with DefaultScope.overwrite_default_scope(data.cfg.default_scope):
        check_dataset_while_loading(cfg, data.cfg, 'train', skip_check)
        dataset = DATASETS.build(cfg)
        return [dataset[i] for i in range(len(dataset))]


def findings(data):
    return [finding.sentence for finding in find_in_files(data.plan()) if finding.is_error]


@pytest.fixture
def outside(tmp_path):
    """An image that is there, in no folder of the dataset."""
    data = DetectorData(tmp_path / 'data')
    (tmp_path / 'secret.jpg').write_bytes(data.image(0).read_bytes())
    return data, tmp_path / 'secret.jpg'


class TestFileNames:
    @pytest.mark.parametrize('name', ['../../secret.jpg', '{}', 'x/../../../secret.jpg'])
    def test_that_lead_out_are_refused(self, name, outside):
        data, secret = outside
        name = name.format(secret)
        rename(data, name)
        with pytest.raises(UsageError, match=r'leads out of .*data; if that is right'):
            load(data)
        (sentence,) = findings(data)
        assert f'train.json: image 1 has the file_name {name!r:.100}, which leads out of {data.root};' in sentence

    @pytest.mark.parametrize('name', ['../val/0.jpg', '{}/val/0.jpg', './0.jpg', '../train/../val/1.jpg'])
    def test_that_stay_in_the_dataset_are_right(self, name, outside):
        data, _ = outside
        rename(data, name.format(data.root))
        assert len(load(data)) == 4
        assert findings(data) == []

    def test_that_are_links_are_the_users_own(self, outside):
        data, secret = outside
        data.image(0).unlink()
        data.image(0).symlink_to(secret)
        assert len(load(data)) == 4
        assert findings(data) == []

    def test_may_be_anywhere_if_no_folder_is_named(self, outside):
        data, secret = outside
        rename(data, str(secret))
        content = json.loads((data.root / 'train.json').read_text())
        for i, image in enumerate(content['images'][1:], start=1):
            image['file_name'] = str(data.image(i))
        (data.root / 'train.json').write_text(json.dumps(content))
        options = dict(data_root='', data_prefix=dict(img=''), ann_file=str(data.root / 'train.json'))
        assert len(load(data, **options)) == 4
        data.cfg.train_dataloader.dataset.update(options)
        assert findings(data) == []

    def test_may_be_anywhere_if_the_check_is_left_out(self, outside):
        data, secret = outside
        rename(data, str(secret))
        assert len(load(data, ['files'])) == 4

    @pytest.mark.parametrize('line', ['../../../secret', '{}/secret'])
    def test_of_lists_are_looked_at_too(self, line, tmp_path):
        data = SegmenterData(tmp_path / 'data')
        (tmp_path / 'secret.jpg').write_bytes(data.image(0).read_bytes())
        (tmp_path / 'secret.png').write_bytes(data.map(0).read_bytes())
        (data.root / 'train.txt').write_text(line.format(tmp_path))
        data.cfg.train_dataloader.dataset.ann_file = 'train.txt'
        with pytest.raises(UsageError, match=r'leads out of .*data;'):
            load(data)
        assert any('leads out of' in sentence for sentence in findings(data))


PARTS = st.lists(st.sampled_from(['a', '..', '.', 'b..c', '']), min_size=1, max_size=6)


@given(parts=PARTS, is_absolute=st.booleans())
def test_a_path_leads_out_if_its_normal_form_is_elsewhere(parts, is_absolute):
    folders = own_folders('data', dict(img='img'))
    path = os.path.join('data', 'img', *(part or 'x' for part in parts))
    path = os.path.abspath(path) if is_absolute else path
    inside = os.path.relpath(path, 'data').split(os.sep)[0] != '..' and os.path.abspath(path) != os.path.abspath('data')
    assert (leading_out([path], folders) == []) == inside
