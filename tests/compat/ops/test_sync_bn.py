"""mmcv's SyncBatchNorm by PyTorch's."""

import pytest
import torch
from mmcv.cnn import ConvModule
from mmcv.ops import SyncBatchNorm
from mmengine.model import revert_sync_batchnorm
from torch.testing import assert_close

from convnext_dense.compat.imports import mmcv_ext


@pytest.mark.parametrize('stats_mode', ['default', 'N'])
def test_a_single_process_builds_it_and_trains_it_as_batch_norm(stats_mode):
    norm_cfg = dict(type='MMSyncBN', stats_mode=stats_mode)
    module = ConvModule(3, 2, 1, norm_cfg=norm_cfg, act_cfg=None)
    assert list(dict(module.named_children())) == ['conv', 'bn']
    images = torch.rand(4, 3, 2, 5).to(memory_format=torch.channels_last)
    expected = torch.nn.functional.batch_norm(module.conv(images), None, None, training=True)
    assert_close(module(images), expected)


def test_mmengine_makes_batch_norm_of_it():
    module = torch.nn.Sequential(SyncBatchNorm(3))
    assert isinstance(module[0], torch.nn.SyncBatchNorm)
    assert not isinstance(revert_sync_batchnorm(module)[0], torch.nn.SyncBatchNorm)


def test_only_another_extension_counts_as_compiled(monkeypatch):
    assert not mmcv_ext.is_mmcv_compiled()
    monkeypatch.setattr(mmcv_ext, 'EXT_FILE', 'elsewhere')
    assert mmcv_ext.is_mmcv_compiled()
