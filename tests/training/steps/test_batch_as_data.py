"""Batches in files."""

import io

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from convnext_dense.errors import UsageError
from convnext_dense.training.steps.batch_as_data import from_data, to_data


def through_a_file(value):
    """Write and read as `RecordedStep` does."""
    file = io.BytesIO()
    torch.save(to_data(value), file)
    file.seek(0)
    return from_data(torch.load(file, weights_only=True))


def detection(masks):
    sample = DetDataSample(metainfo=dict(img_path='a.jpg', scale_factor=(np.float32(0.5), 2.0), img_shape=(4, 6)))
    boxes = HorizontalBoxes(torch.tensor([[0.0, 1, 2, 3]])[: len(masks)])
    sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([3])[: len(masks)], masks=masks)
    sample.ignored_instances = InstanceData(bboxes=HorizontalBoxes(torch.zeros(0, 4)))
    return sample


class TestFromData:
    @pytest.mark.parametrize(
        'masks',
        [
            BitmapMasks(np.eye(4, 6, dtype=np.uint8)[None], 4, 6),
            BitmapMasks([], 4, 6),
            PolygonMasks([[np.array([0.0, 0, 3, 0, 3, 3])]], 4, 6),
        ],
        ids=['bitmap', 'empty', 'polygon'],
    )
    def test_gives_a_detectors_batch_back(self, masks):
        batch = dict(inputs=[torch.zeros(3, 4, 6, dtype=torch.uint8)], data_samples=[detection(masks)])
        read = through_a_file(batch)
        sample = read['data_samples'][0]
        assert type(sample) is DetDataSample
        assert sample.metainfo == batch['data_samples'][0].metainfo
        assert type(sample.gt_instances.bboxes) is HorizontalBoxes
        assert torch.equal(sample.gt_instances.bboxes.tensor, torch.tensor([[0.0, 1, 2, 3]])[: len(masks)])
        assert len(sample.ignored_instances.bboxes) == 0
        assert type(sample.gt_instances.masks) is type(masks)
        assert (sample.gt_instances.masks.height, sample.gt_instances.masks.width) == (4, 6)
        assert np.array_equal(sample.gt_instances.masks.to_ndarray(), masks.to_ndarray())

    def test_gives_a_segmenters_batch_back(self):
        sample = SegDataSample(gt_sem_seg=PixelData(data=torch.ones(1, 4, 6, dtype=torch.int64)))
        read = through_a_file(dict(inputs=torch.zeros(1, 3, 4, 6), data_samples=[sample]))
        assert type(read['data_samples'][0]) is SegDataSample
        assert torch.equal(read['data_samples'][0].gt_sem_seg.data, sample.gt_sem_seg.data)

    @pytest.mark.parametrize('dtype', ['bool', 'uint8', 'uint16', 'int64', 'float16', 'float64', 'complex64'])
    def test_gives_arrays_of_all_numbers_back(self, dtype):
        array = np.arange(3).astype(dtype)
        read = through_a_file([array, array[:0], array[1]])
        assert all(type(part) in (np.ndarray, array.dtype.type) and part.dtype == array.dtype for part in read)
        assert np.array_equal(read[0], array)
        assert len(read[1]) == 0

    @pytest.mark.parametrize(
        'hostile',
        [
            {'__kind__': 'system', 'command': 'true'},
            {'__kind__': ['InstanceData']},
            {'__kind__': 'InstanceData'},
            {'__kind__': 'InstanceData', 'meta': {}, 'data': {'to': torch.zeros(1)}},
            {'__kind__': 'InstanceData', 'meta': {}, 'data': {'__class__': torch.zeros(1)}},
            {'__kind__': 'InstanceData', 'meta': {}, 'data': {'a': torch.zeros(1), 'b': torch.zeros(2)}},
            {'__kind__': 'HorizontalBoxes', 'tensor': 'text'},
            {'__kind__': 'BitmapMasks', 'masks': [], 'height': 'x', 'width': 1},
            {'__kind__': 'ndarray', 'tensor': 3},
        ],
    )
    def test_refuses_what_no_batch_has(self, hostile):
        with pytest.raises(UsageError, match='the batch holds a'):
            from_data([hostile])


class TestToData:
    def test_names_what_a_file_cannot_hold(self):
        with pytest.raises(UsageError, match=r'the batch holds a _io\.StringIO, which a file of a step cannot hold'):
            to_data(dict(inputs=[io.StringIO()]))
