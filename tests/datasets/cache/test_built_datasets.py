"""A dataset that is built from the cache is the dataset that reads its annotations."""

import os
import pickle
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from helpers.data.large_coco import CLASSES, write_large_coco
from mmdet.datasets import CocoDataset
from mmengine.registry import DATASETS, DefaultScope

from convnext_dense.datasets.cache import keys
from convnext_dense.datasets.cache.built_datasets import SAMPLES, remembered_datasets
from convnext_dense.datasets.cache.folder import VARIABLE

FILTER = dict(filter_empty_gt=True, min_size=32)
CONFIGS = dict(
    filtered=dict(filter_cfg=FILTER),
    test=dict(test_mode=True, filter_cfg=FILTER),
    first=dict(indices=7),
    last=dict(indices=-7),
    chosen=dict(indices=[3, 1, 2]),
    lazy=dict(lazy_init=True),
    some_classes=dict(metainfo=dict(classes=CLASSES[:5])),
    texts=dict(return_classes=True),
)


class RenamedDataset(CocoDataset):
    """A dataset of a user's, which has other names."""

    METAINFO = dict(classes=CLASSES)


class OwnDataset(CocoDataset):
    """A dataset of a user's, which reads annotations in its own way."""

    def parse_data_info(self, raw_data_info):
        return super().parse_data_info(raw_data_info)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, 'LARGE_BYTES', 1)
    monkeypatch.setenv(VARIABLE, str(tmp_path / 'cache'))
    write_large_coco(tmp_path / 'set', images=40, objects=120)
    return tmp_path / 'set'


@pytest.fixture
def reads(monkeypatch):
    """Return a list that grows with each dataset that reads its annotations."""
    found, read = [], CocoDataset.load_data_list
    monkeypatch.setattr(CocoDataset, 'load_data_list', _counted(read, found))
    return found


def _counted(read, found):
    def load_data_list(self):
        found.append(self.ann_file)
        return read(self)

    load_data_list.__module__, load_data_list.__qualname__ = read.__module__, read.__qualname__
    return load_data_list


def _cfg(root: Path, **options) -> dict:
    own = dict(
        type='CocoDataset',
        data_root=str(root),
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        metainfo=dict(classes=CLASSES),
    )
    return {**own, **options}


def _build(cfg: dict, is_remembered: bool = True):
    with DefaultScope.overwrite_default_scope('mmdet'):
        if not is_remembered:
            return DATASETS.build(cfg)
        with remembered_datasets():
            dataset = DATASETS.build(cfg)
            dataset.full_init()
            return dataset


def _content(dataset) -> tuple[list, dict]:
    dataset.full_init()
    attributes = {
        key: value for key, value in vars(dataset).items() if key not in ('pipeline', 'data_bytes', 'data_address')
    }
    return [dataset.get_data_info(i) for i in range(len(dataset))], attributes


def _entries(root: Path) -> list[Path]:
    return [path for path in (root.parent / 'cache' / 'annotations').glob('dataset-*') if path.suffix != '.lock']


@pytest.mark.parametrize('name', CONFIGS)
def test_it_is_the_same_and_reads_once(name, root, reads):
    cfg = _cfg(root, **CONFIGS[name])
    expected = _content(_build(cfg, is_remembered=False))
    reads.clear()
    assert [_content(_build(cfg)) for _ in range(2)] == [expected] * 2
    assert len(reads) == 1


@pytest.mark.parametrize('name', CONFIGS)
def test_a_small_one_is_the_same_and_reads_once_in_a_process(name, root, reads, monkeypatch):
    monkeypatch.setattr(keys, 'LARGE_BYTES', 2**30)
    cfg = _cfg(root, **CONFIGS[name])
    expected = _content(_build(cfg, is_remembered=False))
    reads.clear()
    first, second = _build(cfg), _build(cfg)
    first.metainfo['changed'] = first.cat_ids.append(9)
    assert _content(second) == expected
    assert len(reads) == 1
    assert not _entries(root)


def test_a_small_file_that_has_changed_is_read_again(root, reads, monkeypatch):
    monkeypatch.setattr(keys, 'LARGE_BYTES', 2**30)
    _build(_cfg(root))
    file = root / 'annotations' / 'instances_train2017.json'
    file.write_text(file.read_text().replace('"bbox": [', '"bbox": [1'))
    assert _content(_build(_cfg(root))) == _content(_build(_cfg(root), is_remembered=False))
    assert len(reads) == 3


def test_each_of_several_configs_has_its_own(root, reads):
    cfgs = [_cfg(root, **options) for options in CONFIGS.values()]
    lengths = [[len(_build(cfg)) for cfg in cfgs] for _ in range(2)]
    assert lengths[0] == lengths[1]
    assert len(reads) == len(_entries(root)) == len(cfgs)


def test_datasets_inside_of_wrappers_are_remembered(root, reads):
    cfg = dict(type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[_cfg(root), _cfg(root)]))
    assert len(_build(cfg)) == 2 * 2 * 40
    assert len(reads) == 1


@pytest.mark.parametrize(('kind', 'count'), [(RenamedDataset, 1), (OwnDataset, 2)])
def test_what_reads_in_its_own_way_is_not_kept(kind, count, root, reads):
    for _ in range(2):
        _build(_cfg(root, type=kind))
    assert len(reads) == count


@pytest.mark.parametrize('options', [dict(serialize_data=False), dict(backend_args=dict(backend='local'))])
def test_what_cannot_be_kept_is_built_as_ever(options, root, reads):
    for _ in range(2):
        _build(_cfg(root, **options))
    assert len(reads) == 2
    assert not _entries(root)


def test_a_changed_file_is_read_again(root, reads):
    _build(_cfg(root))
    file = root / 'annotations' / 'instances_train2017.json'
    file.write_text(file.read_text().replace('"bbox": [', '"bbox": [1'))
    dataset = _build(_cfg(root))
    assert len(reads) == 2
    assert _content(dataset) == _content(_build(_cfg(root), is_remembered=False))


@pytest.mark.parametrize('part', ['samples', 'ends.npy', 'attributes'])
@pytest.mark.parametrize('damage', [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_a_damaged_entry_is_made_again(damage, part, root, reads):
    expected = _content(_build(_cfg(root)))
    (entry,) = _entries(root)
    damage(entry / part)
    assert [_content(_build(_cfg(root))) for _ in range(2)] == [expected] * 2
    assert len(reads) == 2


def test_a_full_disk_leaves_a_whole_dataset(root, monkeypatch):
    expected = _content(_build(_cfg(root), is_remembered=False))

    def fail(descriptor: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', fail)
    dataset = _build(_cfg(root))
    assert dataset.serialize_data
    assert _content(dataset) == expected
    assert not _entries(root)


def test_an_error_of_the_dataset_is_raised_as_ever(root):
    with pytest.raises(ValueError, match='at least one array'):
        _build(_cfg(root, filter_cfg=dict(filter_empty_gt=True, min_size=1000)))
    assert not _entries(root)


def test_samples_are_mapped_from_the_file_and_cannot_be_changed(root):
    dataset = _build(_cfg(root))
    (entry,) = _entries(root)
    assert str(entry / SAMPLES) in Path('/proc/self/maps').read_text()
    assert type(dataset.data_bytes) is np.ndarray
    assert not dataset.data_bytes.flags['W']
    assert _content(dataset.get_subset(3))[0] == _content(dataset)[0][:3]
    assert _content(pickle.loads(pickle.dumps(dataset))) == _content(dataset)


def _length(cfg: dict) -> tuple[int, int]:
    found: list = []
    CocoDataset.load_data_list = _counted(CocoDataset.load_data_list, found)
    return len(_build(cfg)), len(found)


@pytest.mark.e2e
def test_of_processes_at_the_same_time_one_reads(root):
    with get_context('fork').Pool(4) as pool:
        found = pool.map(_length, [_cfg(root)] * 4, chunksize=1)
    assert {length for length, _ in found} == {40}
    assert len(_entries(root)) == 1
    assert sum(reads for _, reads in found) == 1
