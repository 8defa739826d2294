"""Batches that are moved before they are asked for."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from torch.utils.data import DataLoader

from convnext_dense.training.loading import prefetch
from convnext_dense.training.loading.prefetch import PrefetchingIterator, PrefetchingLoader, copy_on_stream, map_tensors


def test_map_tensors_reaches_every_tensor_of_a_batch():
    sample = DetDataSample(metainfo=dict(img_id=7))
    masks = BitmapMasks(np.zeros((2, 4, 4), np.uint8), 4, 4)
    sample.gt_instances = InstanceData(bboxes=HorizontalBoxes(torch.ones(2, 4)), labels=torch.ones(2), masks=masks)
    pixels = SegDataSample()
    pixels.gt_sem_seg = PixelData(data=torch.ones(1, 4, 4))
    samples = [sample, pixels]
    batch = dict(inputs=[torch.ones(3, 4, 4)], data_samples=samples, branch=('a', torch.ones(1)), none=None)
    moved = map_tensors(batch, lambda tensor: tensor * 2)
    assert moved['inputs'][0].unique() == 2
    instances = moved['data_samples'][0].gt_instances
    assert isinstance(instances.bboxes, HorizontalBoxes)
    assert instances.bboxes.tensor.unique() == instances.labels.unique() == 2
    assert instances.masks is masks
    assert moved['data_samples'][0].img_id == 7
    assert moved['data_samples'][1].gt_sem_seg.data.unique() == 2
    assert (moved['branch'][0], float(moved['branch'][1]), moved['none']) == ('a', 2.0, None)
    assert sample.gt_instances.bboxes.tensor.unique() == pixels.gt_sem_seg.data.unique() == 1


class TestPrefetchingIterator:
    def test_yields_a_batch_before_it_begins_the_next(self):
        events = []

        def load():
            for batch in (1, 2):
                events.append(f'load {batch}')
                yield batch

        def move(batch):
            events.append(f'move {batch}')
            return batch * 10

        iterator = PrefetchingIterator(load(), move, wait=lambda: events.append('wait'))
        assert next(iterator) == 1
        assert events == ['load 1']
        for _ in range(2):
            iterator.begin()
            assert events == ['load 1', 'load 2', 'move 2']
        assert next(iterator) == 20
        assert events[3:] == ['wait']
        iterator.begin()
        for _ in range(2):
            with pytest.raises(StopIteration):
                next(iterator)

    def test_skips_as_the_loop_of_onedls_mmengine_does(self):
        class Batches(list):
            def skip_iter(self, num_iters):
                del self[:num_iters]

            def __next__(self):
                return self.pop(0)

        iterator = PrefetchingIterator(Batches([1, 2, 3]), lambda batch: batch, wait=lambda: None)
        iterator.skip_iter(2)
        assert next(iterator) == 3

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason='copies to a GPU')
    def test_batches_arrive_whole_on_a_gpu(self):
        device = torch.device('cuda', torch.cuda.current_device())
        batches = (dict(inputs=[torch.full((2**20,), float(i)).pin_memory()]) for i in range(50))
        iterator = PrefetchingIterator(batches, *copy_on_stream(device))
        means = []
        for i, batch in enumerate(iterator):
            data = batch['inputs'][0].to(device)
            assert i == 0 or batch['inputs'][0].is_cuda
            # These kernels are still queued when the batch is dropped and the next one is written.
            for _ in range(20):
                mean = data.sin().asin().mean()
            means.append(mean + data.mean())
            del data, batch
            iterator.begin()
        expected = torch.arange(50.0)
        torch.testing.assert_close(torch.stack(means).cpu(), expected.sin().asin() + expected, rtol=1e-3, atol=1e-3)


def test_only_memory_that_is_not_pinned_is_pinned(monkeypatch):
    pinned = torch.ones(1)
    monkeypatch.setattr(torch.Tensor, 'is_pinned', lambda self: self is pinned)
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda self: self + 5)
    assert prefetch._pin(pinned) is pinned
    assert prefetch._pin(torch.ones(1)) == 6


def test_hooks_can_reach_into_a_prefetching_loader():
    loader = DataLoader([1, 2, 3], num_workers=1, persistent_workers=True)
    wrapped = PrefetchingLoader(loader, prefetch=iter)
    assert wrapped.persistent_workers
    assert wrapped.dataset is loader.dataset
    # mmdet's PipelineSwitchHook restarts the workers by setting these.
    wrapped._DataLoader__initialized = False
    wrapped._iterator = 'none'
    assert loader._iterator == 'none'
    assert not loader._DataLoader__initialized
    with pytest.raises(AttributeError):
        _ = wrapped.nothing
