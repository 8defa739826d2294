"""Checkpoints that were damaged at random: every way to read one says so in a sentence, or reads it."""

import io
import json
import pickle
import random

import pytest
import torch
from helpers.mutations import mutate, mutate_zip
from helpers.weights.backbones_and_sources import v1
from mmengine.logging import HistoryBuffer
from safetensors.torch import save

from convnext_dense.config.resume import find_latest
from convnext_dense.errors import UsageError
from convnext_dense.weights import convert_checkpoint, inspect_checkpoint, load_from_anywhere, load_pretrained


def _contents() -> dict[str, bytes]:
    weights = {f'backbone.{name}': tensor for name, tensor in v1().state_dict().items()}
    hub = dict(log_scalars={'train/loss': HistoryBuffer([1.0], [1])}, runtime_info={'epoch': 1}, resumed_keys={})
    checkpoint = dict(meta=dict(epoch=1, iter=2, seed=0), state_dict=weights, message_hub=hub)
    new, old = io.BytesIO(), io.BytesIO()
    torch.save(checkpoint, new)
    torch.save(checkpoint, old, _use_new_zipfile_serialization=False)
    small = io.BytesIO()
    torch.save({'meta': checkpoint['meta'], 'state_dict': {'x': torch.zeros(3)}, 'message_hub': hub}, small)
    return {
        'x.pth': new.getvalue(),
        'small.pth': small.getvalue(),
        'old.pth': old.getvalue(),
        'pickle.pth': pickle.dumps({'x': [1, 2, {'y': (3,)}]}, protocol=2),
        'x.safetensors': save(weights, {'dataset_meta': json.dumps(dict(classes=['a']))}),
    }


def _read(path, folder) -> int:
    """Read a file in every way; return how many have refused it."""
    refused = 0
    ways = [
        lambda: inspect_checkpoint(str(path)),
        lambda: convert_checkpoint(str(path), folder / 'out.pth'),
        lambda: load_pretrained(v1(), str(path)),
        lambda: load_from_anywhere(str(path)),
        lambda: find_latest(folder),
    ]
    for way in ways:
        try:
            way()
        except UsageError as error:
            assert '\n' not in str(error)
            refused += 1
    (folder / 'out.pth').unlink(missing_ok=True)
    return refused


@pytest.mark.parametrize('tries', [6, pytest.param(1000, marks=[pytest.mark.full, pytest.mark.timeout(3000)])])
@pytest.mark.parametrize('name', ['x.pth', 'small.pth', 'old.pth', 'pickle.pth', 'x.safetensors'])
def test_no_damage_ends_in_a_traceback(name, tries, tmp_path):
    data = _contents()[name]
    change = mutate_zip if name in ('x.pth', 'small.pth') else mutate
    path = tmp_path / f'iter_1{name[name.index(".") :]}'
    (tmp_path / 'last_checkpoint').write_text(str(path))
    rng = random.Random(name)
    refused = 0
    for _ in range(tries):
        path.write_bytes(change(data, rng))
        refused += bool(_read(path, tmp_path))
    assert refused
