"""mmcv's SyncBatchNorm against PyTorch's BatchNorm."""

import pytest
import torch
import torch.distributed as dist
from mmcv.ops import SyncBatchNorm
from mmengine.model import revert_sync_batchnorm
from torch.testing import assert_close


def randomized(layer):
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.linspace(-1, 1, 3))
    return layer.train()


def maps(memory_format=torch.contiguous_format):
    x = torch.randn(4, 3, 2, 5, generator=torch.Generator().manual_seed(0))
    return x.contiguous(memory_format=memory_format)


def step(layer, x):
    """A training step: the output, the gradients, and the running statistics."""
    x = x.detach().requires_grad_()
    y = layer(x)
    y.backward(torch.linspace(-1, 1, y.numel()).view(y.shape))
    return [y, x.grad, *(p.grad for p in layer.parameters()), layer.running_mean, layer.running_var]


class TestInOneProcess:
    @pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
    @pytest.mark.parametrize('stats_mode', ['default', 'N'])
    def test_it_is_batch_norm(self, memory_format, stats_mode):
        assert not dist.is_initialized()
        ours = step(randomized(SyncBatchNorm(3, stats_mode=stats_mode)), maps(memory_format))
        expected = step(randomized(torch.nn.BatchNorm2d(3)), maps())
        for value, expected_value in zip(ours, expected, strict=True):
            assert_close(value, expected_value)

    def test_an_empty_batch_changes_no_statistics(self):
        layer = randomized(SyncBatchNorm(3, stats_mode='N'))
        y, *_, mean, var = step(layer, maps()[:0])
        assert y.shape == (0, 3, 2, 5)
        assert torch.equal(mean, torch.zeros(3))
        assert torch.equal(var, torch.ones(3))

    def test_mmengine_makes_batch_norm_of_it(self):
        assert type(revert_sync_batchnorm(SyncBatchNorm(3))).__name__ == '_BatchNormXd'


def _step_of_rank(rank, address, folder):
    import convnext_dense  # noqa: F401 - provides the operators in this process

    dist.init_process_group('gloo', init_method=address, rank=rank, world_size=2)
    values = step(randomized(SyncBatchNorm(3)), maps()[2 * rank : 2 * rank + 2])
    torch.save(values, folder / f'{rank}.pt')


@pytest.mark.e2e
def test_two_processes_share_their_statistics(tmp_path):
    torch.multiprocessing.spawn(_step_of_rank, (f'file://{tmp_path}/store', tmp_path), nprocs=2)
    layer, x = randomized(torch.nn.BatchNorm2d(3)), maps().requires_grad_()
    y = layer(x)
    half = torch.linspace(-1, 1, y.numel() // 2).view(2, *y.shape[1:])
    y.backward(torch.cat([half, half]))
    ranks = [torch.load(tmp_path / f'{rank}.pt') for rank in range(2)]
    for i, expected in ((0, y.detach()), (1, x.grad)):
        assert_close(torch.cat([values[i].detach() for values in ranks]), expected)
    for values in ranks:
        # mmcv averages the gradients of the parameters over the processes.
        assert_close(values[2], layer.weight.grad / 2)
        assert_close(values[3], layer.bias.grad / 2)
        assert_close(values[4], layer.running_mean)
        assert_close(values[5], layer.running_var)
