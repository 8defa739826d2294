"""Samples that are replaced, because their files cannot be read."""

import json
import random

import numpy as np
import pytest
from helpers.data.small_datasets import DetectorData, SegmenterData
from helpers.planted.map_faults import OF_MAPS
from helpers.planted.sample_faults import OF_SAMPLES
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, DefaultScope
from torch.utils.data import DataLoader

from convnext_dense.datasets import unreadable
from convnext_dense.datasets.checked_loading import check_dataset_while_loading
from convnext_dense.datasets.unreadable import NOTES, count_samples, note_with_batches, take_notes
from convnext_dense.errors import SampleError, UsageError


@pytest.fixture(autouse=True)
def _no_notes():
    yield
    take_notes()


def build(data, split='train', **options):
    """A dataset as a run builds it, whose samples are replaced in training."""
    cfg = {**data.cfg.to_dict()[f'{split}_dataloader']['dataset'], **options}
    return build_checked(cfg, data, split)


def build_checked(cfg, data, split='train'):
    with DefaultScope.overwrite_default_scope(data.cfg.default_scope):
        check_dataset_while_loading(cfg, data.cfg, split, replaces=True)
        return DATASETS.build(cfg)


def read(dataset, seed=0, **options):
    """All batches of a dataset."""
    np.random.seed(seed)
    random.seed(seed)
    loader = DataLoader(dataset, batch_size=2, collate_fn=pseudo_collate, **options)
    note_with_batches(loader)
    return list(loader)


def files_of(batches):
    return [sample.img_path for batch in batches for sample in batch['data_samples']]


def notes_of(batches):
    return [note for batch in batches for note in batch.get(NOTES, ())]


@pytest.mark.parametrize('fault', OF_SAMPLES, ids=lambda fault: fault.__name__)
def test_every_fault_of_a_file_is_replaced_and_named(fault, tmp_path):
    data = (SegmenterData if fault in OF_MAPS else DetectorData)(tmp_path)
    parts = fault(data, np.random.default_rng(0))
    try:
        dataset = build(data)
        batches = read(dataset)
    except UsageError as error:
        # A whole dataset is wrong, or its config.
        assert type(error) is UsageError
        assert 'in a row' in str(error) or 'reduce_zero_label:' in str(error)
        return
    notes = dict(notes_of(batches))
    if notes:
        assert len(files_of(batches)) == len(dataset)
        assert not set(files_of(batches)) & set(notes)
        assert all(part in ' '.join(notes.values()) or '_dataloader' in part for part in parts)
    else:
        with pytest.raises(SampleError):
            read(build(data, 'val'))


class TestReplacement:
    def test_is_the_same_by_the_same_seed(self, tmp_path):
        data = DetectorData(tmp_path)
        data.image(1).write_bytes(b'')
        drawn = [files_of(read(build(data), seed)) for seed in range(8)]
        assert drawn[:4] == [files_of(read(build(data), seed)) for seed in range(4)]
        assert len({tuple(files) for files in drawn}) > 1

    @pytest.mark.parametrize('workers', [0, 1, 2])
    def test_is_noted_with_its_batch(self, workers, tmp_path):
        data = SegmenterData(tmp_path)
        dataset = build(data)
        data.image(3).unlink()
        batches = read(dataset, num_workers=workers)
        assert NOTES not in batches[0]
        assert dict(batches[1][NOTES]) == {str(data.image(3)): f'{data.image(3)}: there is no such file.'}

    @pytest.mark.parametrize('name', ['a' * 5000, 'a\0b', 'a\nb', ''])
    def test_is_of_names_that_no_file_can_have(self, name, tmp_path):
        data = DetectorData(tmp_path)
        file = data.root / 'train.json'
        file.write_text(file.read_text().replace('"0.jpg"', json.dumps(name)))
        assert len(dict(notes_of(read(build(data))))) == 1

    def test_is_none_in_validation_and_in_test_mode(self, tmp_path):
        data = DetectorData(tmp_path)
        data.image(1, 'val').unlink()
        data.image(1).unlink()
        for dataset in (build(data, 'val'), build(data, test_mode=True)):
            with pytest.raises(SampleError, match='there is no such file'):
                read(dataset)

    def test_ends_if_no_file_is_there_any_more(self, tmp_path, monkeypatch):
        data = DetectorData(tmp_path)
        monkeypatch.setattr(unreadable, 'MAX_IN_A_ROW', 10)
        dataset = build(data)
        for i in range(4):
            data.image(i).unlink()
        with pytest.raises(UsageError, match=r'10 samples in a row cannot be read; the last: .* no such file'):
            read(dataset)

    @pytest.mark.parametrize('error', [MemoryError(), OSError(24, 'Too many open files')])
    def test_is_none_for_what_the_machine_lacks(self, error, tmp_path, monkeypatch):
        dataset = build(DetectorData(tmp_path))

        def load(results):
            raise error

        dataset.pipeline.transforms[1].loader.loader = load
        with pytest.raises(UsageError, match=type(error).__name__) as raised:
            read(dataset)
        assert type(raised.value) is UsageError

    def test_of_a_batch_without_a_place_for_notes_is_an_error(self, tmp_path):
        data = DetectorData(tmp_path)
        data.image(1).unlink()
        loader = DataLoader(build(data), batch_size=2, collate_fn=list)
        note_with_batches(loader)
        with pytest.raises(UsageError, match='no such file'):
            list(loader)

    def test_is_the_inner_datasets_where_images_are_mixed(self, tmp_path):
        data = DetectorData(tmp_path)
        data.image(1).unlink()
        inner = data.cfg.to_dict()['train_dataloader']['dataset']
        pack = inner['pipeline'].pop()
        mosaic = [dict(type='mmdet.Mosaic', img_scale=(64, 64)), pack]
        inner['pipeline'] += [dict(type='mmdet.Resize', scale=(32, 32))]
        dataset = build_checked(dict(type='MultiImageMixDataset', dataset=inner, pipeline=mosaic), data)
        assert count_samples(dataset) == 4
        assert dict(notes_of(read(dataset))).keys() == {str(data.image(1))}
