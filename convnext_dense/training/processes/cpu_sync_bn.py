"""SyncBN on CPUs, which PyTorch's does not compute."""

import torch
from torch import Tensor, nn
from torch.distributed import get_world_size, is_initialized
from torch.distributed.nn.functional import all_reduce


class CPUSyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """BatchNorm whose statistics are those of all processes' batches, on CPUs.

    `sync_on_cpu` makes it of PyTorch's SyncBatchNorm, of which it is no subclass: DDP refuses these on CPUs.
    """

    process_group: torch.distributed.ProcessGroup | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Normalize a batch, by the statistics of all processes' batches if it trains.

        Args:
            input: A tensor of shape (N, C, ...). Processes may have batches of different sizes.
        """
        if not self.training or not is_initialized() or get_world_size(self.process_group) == 1:
            return super().forward(input)
        self._check_input_dim(input)
        # Half precision is too coarse for sums.
        values = input if input.dtype == torch.float64 else input.float()
        axes = [axis for axis in range(input.dim()) if axis != 1]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = self._sum_over_processes(torch.cat([values.sum(axes), count]))
        total = sums[-1]
        mean = sums[:-1] / total
        centered = values - mean.view(shape)
        variance = self._sum_over_processes(centered.square().sum(axes)) / total
        self._follow(mean.detach(), variance.detach() * total / (total - 1).clamp(min=1))
        output = centered * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            output = output * self.weight.view(shape) + self.bias.view(shape)
        return output.to(input.dtype)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f'a batch has at least two dimensions; got {input.dim()}')

    def _sum_over_processes(self, values: Tensor) -> Tensor:
        group = self.process_group if self.process_group is not None else torch.distributed.group.WORLD
        return all_reduce(values, group=group)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics toward those of a batch."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), momentum)
        self.running_var.lerp_(variance.to(self.running_var), momentum)


def sync_on_cpu(model: nn.Module) -> None:
    """Make a model's SyncBN layers work on CPUs. Their parameters and names stay.

    Args:
        model: The model, which is changed.

    Example:
        >>> model = nn.Sequential(nn.SyncBatchNorm(3))
        >>> sync_on_cpu(model)
        >>> model(torch.ones(2, 3, 4, 4)).sum().item()
        0.0
    """
    for layer in model.modules():
        if isinstance(layer, nn.SyncBatchNorm):
            layer.__class__ = CPUSyncBatchNorm  # pyrefly: ignore[bad-argument-type]
