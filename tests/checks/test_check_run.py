"""All checks of a run together."""

import json

import pytest
from helpers.data.small_datasets import DetectorData

from convnext_dense.checks import check_run
from convnext_dense.errors import UsageError


@pytest.fixture
def data(tmp_path):
    return DetectorData(tmp_path)


def record(data):
    return json.loads((data.root / 'work' / 'checks.json').read_text())


def test_a_dataset_that_cannot_be_built_hides_no_other_error(data):
    data.dataset('train').pipeline[0].type = 'LoadImgFromFile'
    data.dataset('val').data_root = str(data.root / 'nowhere')
    with pytest.raises(UsageError) as raised:
        check_run(data.plan(), skip_check=['schedule'])
    keys, unbuilt, missing = str(raised.value).split(' Also: ')
    assert keys.startswith('train_dataloader.dataset.pipeline.0.type: there is no LoadImgFromFile; the nearest is ')
    assert unbuilt.startswith('train_dataloader.dataset: KeyError: ')
    assert missing.startswith('val_dataloader.dataset.data_root: there is no folder ')
    assert len(record(data)['files']['errors']) == 2


def test_a_missing_file_has_one_sentence(data):
    data.image(1).unlink()
    with pytest.raises(UsageError) as raised:
        check_run(data.plan(), skip_check=['schedule'])
    assert str(raised.value) == f'train_dataloader.dataset: there is no image {data.image(1)}.'


def test_what_two_datasets_share_is_said_once(data):
    data.dataset('val').update(ann_file='train.json', data_prefix=dict(img='train/'))
    data.write('train', {0: (-1, 5)})
    with pytest.raises(UsageError) as raised:
        check_run(data.plan(), skip_check=['schedule'])
    assert str(raised.value) == f'{data.root}/train.json: image 1 has height -1; it must be positive.'
