"""A training run that advances one step per call, and says what it computes and what it keeps."""

import torch
from torch import Tensor, nn

from convnext_dense.apis.stepped_run import SteppedRun
from convnext_dense.training.loading.prefetch import PrefetchingIterator, map_tensors

STOCHASTIC_DEPTH = 'DropPath'


class MeasuredRun(SteppedRun):
    """A run whose loss, memory and settings can be compared with another's."""

    def deterministic_loss(self, batch: dict, seed: int = 0) -> float:
        """Return the loss of a batch in training mode, without dropout and stochastic depth.

        Precision and memory format are those of the steps; compilation is off.

        Args:
            batch: A batch of the dataloader.
            seed: Seed of all other random choices, such as the sampling of proposals.
        """
        torch.manual_seed(seed)
        stochastic = [module for module in self.model.modules() if module.training and _is_stochastic(module)]
        for module in stochastic:
            module.eval()
        with self._turn(), torch.no_grad(), torch.compiler.set_stance('force_eager'):
            with self.runner.optim_wrapper.optim_context(self.model):
                data = self.model.data_preprocessor(batch, True)
                losses = self.model(**data, mode='loss')
            loss, _ = self.model.parse_losses(losses)
        for module in stochastic:
            module.train()
        return float(loss)

    def allocated_bytes(self) -> int:
        """Return the bytes on the device that the run keeps between two steps.

        These are parameters, gradients and buffers, also of models that hooks keep, such as EMA's; the optimizer's
        state; and a batch that was prefetched.
        """
        kept = (value for hook in self.runner.hooks for value in vars(hook).values() if isinstance(value, nn.Module))
        models = [self.model, *kept]
        parameters = [parameter for model in models for parameter in model.parameters()]
        iterator = self.runner.train_loop.dataloader_iterator
        sizes: dict[int, int] = {}

        def count(tensor: Tensor) -> Tensor:
            if tensor.device == self.device:
                storage = tensor.untyped_storage()
                sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        map_tensors(
            [
                parameters,
                [parameter.grad for parameter in parameters],
                [buffer for model in models for buffer in model.buffers()],
                [list(state.values()) for state in self.runner.optim_wrapper.optimizer.state.values()],
                iterator.moved if isinstance(iterator, PrefetchingIterator) else [],
            ],
            count,
        )
        return sum(sizes.values())

    def settings(self) -> dict[str, object]:
        """Return what is in effect, read from the objects that were built."""
        wrapper, backbone = self.runner.optim_wrapper, getattr(self.model, 'backbone', None)
        with wrapper.optim_context(self.model):
            kind = self.device.type
            dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        return dict(
            backbone=f'{type(backbone).__module__.split(".")[0]}.{type(backbone).__name__}',
            optim_wrapper=type(wrapper).__name__,
            precision=str(dtype).removeprefix('torch.'),
            optimizer=type(wrapper.optimizer).__name__,
            fused=bool(wrapper.optimizer.param_groups[0].get('fused')),
            parameter_groups=len(wrapper.optimizer.param_groups),
            channels_last=any(weight.ndim == 4 and not weight.is_contiguous() for weight in self.model.parameters()),
            cudnn=self._flags,
            hooks=[type(hook).__name__ for hook in self.runner.hooks],
        )


def _is_stochastic(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.dropout._DropoutNd) or type(module).__name__ == STOCHASTIC_DEPTH
