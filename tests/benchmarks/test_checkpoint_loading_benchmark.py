"""The memory that loading weights adds is measured."""

import pytest
import torch

from benchmarks import checkpoint_loading
from benchmarks.checkpoint_loading import ROWS, measure_in_process
from convnext_dense.backbones import ConvNeXt


@pytest.mark.e2e
def test_loading_adds_about_the_files_size(tmp_path):
    file = tmp_path / 'weights.pth'
    torch.save(ConvNeXt('tiny', layer_scale_init_value=1.0).state_dict(), file)
    # What a first load needs once counts next to a small file.
    once = 50e6
    size = file.stat().st_size
    assert 0.5 * size < measure_in_process('tiny', 'init_cfg', str(file)) < 1.1 * size + once


def test_each_row_is_measured_on_its_own_file(call, monkeypatch):
    files = []
    monkeypatch.setattr(
        checkpoint_loading, 'measure_in_process', lambda arch, loader, file: files.append(file) or 10**7
    )
    result = call(checkpoint_loading.main, '--arch', 'atto')
    assert [file[file.rindex('.') :] for file in files] == [suffix for _, suffix in ROWS]
    assert 'torch.load, .pth' in result.out
