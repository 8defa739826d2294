"""Samples that follow from the seed and their place in the run."""

import io
import pickle
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import DataLoader, Dataset, IterableDataset

from convnext_dense.training.loading.prefetch import PrefetchingLoader
from convnext_dense.training.resuming.rng import kept_generators, rng_state, set_rng_state
from convnext_dense.training.resuming.seeded_samples import SeededDataset, SeededIndex
from convnext_dense.training.resuming.seeking_loader import SeekingLoader, make_seeking


class Draws(Dataset):
    """Its samples are their indices, and what is drawn while they are loaded."""

    def __init__(self, size):
        self.size = size
        self.loaded = []

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        self.loaded.append(index)
        return index, random.random(), np.random.rand(), float(torch.rand(1))


def loader(size=10, batch_size=2, seed=0, sampler=DefaultSampler, **options):
    dataset = Draws(size)
    built = DataLoader(dataset, batch_size, sampler=sampler(dataset, seed=seed), collate_fn=list, **options)
    make_seeking(built, seed)
    return built


def take(loader, count):
    batches = loader.over_and_over()
    return [next(batches) for _ in range(count)]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 12), st.integers(1, 4), st.integers(0, 20), st.sampled_from([DefaultSampler, InfiniteSampler]),
    st.booleans(),
)  # fmt: skip
def test_a_loader_that_seeks_gives_the_batches_that_follow(size, batch_size, skipped, sampler, drop_last):
    options = dict(size=size, batch_size=min(batch_size, size), sampler=sampler, drop_last=drop_last)
    whole = take(loader(**options), skipped + 5)
    seeking = loader(**options)
    seeking.seek(skipped)
    assert take(seeking, 5) == whole[skipped:]


def test_skipped_samples_are_not_loaded():
    seeking = loader(size=1000)
    seeking.seek(300)
    (batch,) = take(seeking, 1)
    assert seeking.dataset.loaded == [sample[0] for sample in batch]


def test_workers_start_with_the_first_batch():
    seeking = loader(num_workers=1, persistent_workers=True)
    iter(seeking)
    assert seeking._iterator is None


@pytest.mark.parametrize('workers', [1, 3])
def test_samples_are_the_same_whatever_the_workers(workers):
    assert take(loader(num_workers=workers), 7) == take(loader(), 7)


def test_no_two_draws_of_a_run_are_the_same():
    draws = [draw for batch in take(loader(), 15) for sample in batch for draw in sample[1:]]
    assert len(set(draws)) == len(draws)


def test_the_model_draws_as_if_no_sample_were_loaded():
    torch.manual_seed(0)
    expected = torch.rand(3).tolist()
    torch.manual_seed(0)
    drawn = [float(torch.rand(1)) for _ in zip(range(3), loader(), strict=False)]
    assert drawn == expected


def test_several_processes_load_what_one_would():
    def load(rank, world_size, batch_size):
        dataset = Draws(8)
        sampler = DefaultSampler(dataset, seed=0)
        sampler.rank, sampler.world_size, sampler.num_samples = rank, world_size, 8 // world_size
        built = DataLoader(dataset, batch_size, sampler=sampler, collate_fn=list)
        make_seeking(built, seed=0)
        built.batch_sampler.rank, built.batch_sampler.world_size = rank, world_size
        return list(built)

    joint = [[*first, *second] for first, second in zip(load(0, 2, 2), load(1, 2, 2), strict=True)]
    assert [sorted(batch) for batch in joint] == [sorted(batch) for batch in load(0, 1, 4)]


def test_a_prefetching_loader_seeks():
    inner = loader()
    prefetching = PrefetchingLoader(inner, prefetch=iter)
    prefetching.seek_in_epoch(1, 2)
    assert (inner.batch_sampler.epoch, inner.batch_sampler.start) == (1, 2)


def test_what_has_no_indices_stays_as_it_is():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter([1, 2])

    built = DataLoader(Stream())
    make_seeking(built, seed=0)
    assert not isinstance(built, SeekingLoader)
    assert len(list(built)) == 2


class TestSeededDataset:
    def test_is_the_dataset_to_all_who_look(self):
        dataset = SeededDataset(Draws(3), seed=0)
        assert isinstance(dataset, Draws)
        dataset.size = 4
        assert len(dataset) == 4

    def test_comes_through_a_pipe(self):
        first, second = SeededDataset([1], seed=3), pickle.loads(pickle.dumps(SeededDataset(Draws(1), seed=3)))
        assert len(first) == len(second) == 1
        place = SeededIndex(0, 1, 2)
        assert second[place] == SeededDataset(Draws(1), seed=3)[place]


class TestGenerators:
    def test_a_state_brings_back_what_was_drawn(self):
        state = rng_state()
        drawn = random.gauss(0, 1), np.random.randn(), float(torch.randn(1))
        again = torch.load(_saved(state), weights_only=True)
        set_rng_state(again)
        assert (random.gauss(0, 1), np.random.randn(), float(torch.randn(1))) == drawn

    def test_they_are_kept_when_the_block_raises(self):
        state = rng_state()
        with pytest.raises(ValueError, match='x'), kept_generators():
            random.random()
            raise ValueError('x')
        assert random.getstate() == state['python']


def _saved(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file
