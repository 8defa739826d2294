"""A device whose memory holds few images; the tests' own machines have none that is so small."""

from contextlib import contextmanager
from unittest import mock

import torch


@contextmanager
def device_that_holds(images, model, method='loss', full_from=0):
    """Let a model's method run out of memory with more images than these, from a call on; yield the calls' images."""
    original = getattr(model, method)
    calls = []

    def run(self, inputs, *args, **kwargs):
        calls.append(tuple(inputs.shape))
        if len(inputs) > images and len(calls) > full_from:
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')
        return original(self, inputs, *args, **kwargs)

    with mock.patch.object(model, method, run):
        yield calls


@contextmanager
def as_a_gpu():
    """Make the search for a batch size take the CPU for a GPU."""
    with mock.patch('convnext_dense.training.memory.batch_probe.probed_device', lambda: torch.device('cpu')):
        yield
