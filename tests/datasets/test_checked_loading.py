"""Checks where each sample is loaded."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from helpers.data.small_datasets import DetectorData, SegmenterData, save, turn_by_exif
from helpers.planted.map_faults import OF_MAPS
from helpers.planted.sample_faults import OF_SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import DATASETS, DefaultScope
from mmseg.datasets.transforms import LoadAnnotations
from torch.utils.data import DataLoader

from convnext_dense.datasets.checked_loading import check_while_loading
from convnext_dense.datasets.label_maps.checked_label_map import CheckedLabelMap
from convnext_dense.errors import UsageError


class Runner:
    """What `check_while_loading` needs of mmengine's."""

    def __init__(self, cfg):
        self.cfg, self.hooks = cfg, []
        self._train_dataloader, self._val_dataloader = cfg.train_dataloader.to_dict(), cfg.val_dataloader.to_dict()
        self._test_dataloader = None


def datasets(data, skip_check=()):
    """A run's datasets, as a runner builds them."""
    runner = Runner(data.cfg)
    with DefaultScope.overwrite_default_scope(data.cfg.default_scope):
        check_while_loading(runner, skip_check)
        return [DATASETS.build(loader['dataset']) for loader in (runner._train_dataloader, runner._val_dataloader)]


def load_all(data):
    """Load every sample of a run."""
    return [dataset[i] for dataset in datasets(data) for i in range(len(dataset))]


class TestCheckedLoading:
    @pytest.mark.parametrize('kind', [SegmenterData, DetectorData])
    def test_right_data_is_loaded_as_without_it(self, kind, tmp_path):
        data = kind(tmp_path)
        with DefaultScope.overwrite_default_scope(data.cfg.default_scope):
            plain = DATASETS.build(data.dataset())
        for before, after in zip(plain, datasets(data)[0], strict=True):
            assert (before['inputs'] == after['inputs']).all()
            if kind is SegmenterData:
                assert (before['data_samples'].gt_sem_seg.data == after['data_samples'].gt_sem_seg.data).all()
            else:
                boxes = [sample['data_samples'].gt_instances.bboxes.tensor for sample in (before, after)]
                assert (boxes[0] == boxes[1]).all()

    @pytest.mark.parametrize('fault', OF_SAMPLES, ids=lambda fault: fault.__name__)
    def test_a_planted_fault_is_found(self, fault, tmp_path):
        data = (SegmenterData if fault in OF_MAPS else DetectorData)(tmp_path)
        parts = fault(data, np.random.default_rng(0))
        with pytest.raises(UsageError) as error:
            load_all(data)
        # The key of a config is unknown here.
        for part in parts:
            assert '_dataloader' in part or part in str(error.value) or part == 'reduce_zero_label=True'

    def test_an_image_is_read_as_stored_if_its_annotations_are(self, tmp_path):
        data = DetectorData(tmp_path)
        upright = datasets(data)[0][0]['inputs']
        for tag in range(5, 9):
            turn_by_exif(data.image(0), tag)
            assert datasets(data)[0][0]['inputs'].shape == upright.shape

    @pytest.mark.parametrize('tag', range(5, 9))
    def test_a_map_is_turned_with_its_image(self, tag, tmp_path):
        data = SegmenterData(tmp_path)
        # The map is in the image, so that a map that is turned differently shows.
        for kind, file in (('JPEG', data.image(0)), ('PNG', data.map(0))):
            half = np.zeros((40, 56), np.uint8)
            half[:16, :24] = 1
            save(file, half * (255 if kind == 'JPEG' else 1), kind)
        turn_by_exif(data.image(0), tag)
        sample = datasets(data)[0][0]
        image, label_map = sample['inputs'][0] > 127, sample['data_samples'].gt_sem_seg.data[0] == 1
        assert image.shape == (56, 40)
        assert (image == label_map).all()

    def test_checks_can_be_left_out(self, tmp_path):
        data = DetectorData(tmp_path)
        data.write('train', {1: (80, 80)})
        assert datasets(data, ['images'])[0][1]

    def test_an_error_in_a_worker_is_its_sentence(self, tmp_path):
        data = SegmenterData(tmp_path)
        data.map(0).unlink()
        with pytest.raises(UsageError) as error:
            list(DataLoader(datasets(data)[0], num_workers=1))
        assert str(error.value) == f'{data.map(0)}: there is no such file.'


class TestCheckedLabelMap:
    @given(
        st.lists(st.integers(0, 255), min_size=1),
        st.booleans(),
        st.dictionaries(st.integers(0, 254), st.integers(0, 255), max_size=4),
    )
    @settings(max_examples=30, deadline=None)
    def test_maps_are_those_of_mmseg(self, values, reduce_zero_label, label_map):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, 'map.png')
            save(file, np.resize(np.array(values, np.uint8), (16, 16)))
            maps = []
            for loader in (LoadAnnotations(), CheckedLabelMap()):
                results = dict(
                    seg_map_path=str(file),
                    reduce_zero_label=reduce_zero_label,
                    label_map=dict(label_map),
                    seg_fields=[],
                )
                maps.append(loader(results)['gt_seg_map'])
        assert maps[0].dtype == maps[1].dtype
        assert (maps[0] == maps[1]).all()

    def test_a_map_of_one_row_keeps_its_shape(self, tmp_path):
        save(tmp_path / 'map.png', np.zeros((1, 8), np.uint8))
        results = dict(seg_map_path=str(tmp_path / 'map.png'), reduce_zero_label=False, seg_fields=[])
        assert CheckedLabelMap()(results)['gt_seg_map'].shape == (1, 8)
