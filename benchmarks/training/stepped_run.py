"""A training run that is stepped by hand, so that several can take turns."""

import copy
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.structures import BaseDataElement
from torch import Tensor, nn
from torch.utils.data import DataLoader

from convnext_dense.config.backbone.swap import without_weights
from convnext_dense.config.load import fit_to_device
from convnext_dense.training.prefetch import PrefetchingIterator

# mmengine adds these hooks where a config lacks them. They write files and print, which is no part of a step.
SILENT = dict(checkpoint=None, logger=None)
# Settings of the whole process that a config or a hook may change: each run has its own while it has its turn.
CUDNN_FLAGS = ('benchmark', 'benchmark_limit', 'deterministic')
STOCHASTIC_DEPTH = 'DropPath'


class _FirstIteration(Exception):
    """Training is set up, and its first iteration is next."""


class _HaltedRunner(Runner):
    """mmengine's runner, which stops where the training loop would start."""

    def build_train_loop(self, loop: dict) -> object:
        loop = super().build_train_loop(loop)
        loop.run = self._halt
        return loop

    def _halt(self) -> None:
        raise _FirstIteration


class _KeepOutputs(Hook):
    """Keeps what the last step returned."""

    outputs: dict[str, Tensor] | None = None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        self.outputs = outputs


def _cudnn_flags() -> dict:
    return {name: getattr(torch.backends.cudnn, name) for name in CUDNN_FLAGS}


def _set_cudnn_flags(flags: dict) -> None:
    for name, value in flags.items():
        setattr(torch.backends.cudnn, name, value)


class Trainer:
    """A config's model, losses, optimizer and hooks, set up by mmengine's own runner, a step at a call.

    Nothing is written but the runner's log, nothing validated, and no weights are read or downloaded: the model's are
    random.

    Args:
        cfg: The config; it stays as it is. Without a GPU it is fitted to the CPU.
        work_dir: A folder for the runner's log.
        name: What tells this run from others of the process.
        seed: The seed of all random numbers, set before the model is built.

    Attributes:
        runner: The runner.

    Example:
        >>> from convnext_dense.config import load_config
        >>> trainer = Trainer(load_config('configs/demo/...py'), 'work_dirs/x', 'ours')  # doctest: +SKIP
        >>> trainer.start(trainer.batches(4))  # doctest: +SKIP
        >>> trainer.step()  # doctest: +SKIP
    """

    def __init__(self, cfg: Config, work_dir: str, name: str, seed: int = 0) -> None:
        cfg = copy.deepcopy(cfg)
        for split in ('val', 'test'):
            cfg.update({f'{split}_dataloader': None, f'{split}_cfg': None, f'{split}_evaluator': None})
        cfg.update(visualizer=None, resume=False, log_level='ERROR', randomness=dict(seed=seed), launcher='none')
        cfg.default_hooks = {**(cfg.get('default_hooks') or {}), **SILENT}
        cfg.default_hooks.pop('visualization', None)
        cfg.work_dir = work_dir
        cfg.experiment_name = f'{name}_{id(cfg)}'
        cfg.model = without_weights(cfg.model)
        cfg.load_from = None
        fit_to_device(cfg)
        self.cfg = cfg
        self._outputs = _KeepOutputs()
        self._flags = _cudnn_flags()
        with self._turn():
            self.runner = _HaltedRunner.from_cfg(cfg)
            with suppress(_FirstIteration):
                self.runner.train()
            self.runner.register_hook(self._outputs, priority='VERY_LOW')

    @property
    def model(self) -> nn.Module:
        """The detector or segmenter."""
        return self.runner.model

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return next(self.model.parameters()).device

    @property
    def loader(self) -> DataLoader:
        """The config's dataloader."""
        return self.runner.train_loop.dataloader

    def start(self, batches: list[dict] | None = None) -> None:
        """Call what hooks do before the first iteration.

        Args:
            batches: What is trained on, over and over, in place of what the dataloader gives.
        """
        loop = self.runner.train_loop
        with self._turn():
            if batches is not None:
                loop.dataloader = _Batches(self._pinned(batches))
                if hasattr(loop, 'dataloader_iterator'):
                    loop.dataloader_iterator = itertools.cycle(loop.dataloader)
            self.runner.call_hook('before_train')
            self.runner.call_hook('before_train_epoch')
            self.model.train()
            self._source = _Source(loop)

    def _pinned(self, batches: list[dict]) -> list[dict]:
        """Return the batches as the dataloader would give them: in pinned memory where the config says so."""
        pin = self.device.type == 'cuda' and bool(self.cfg.train_dataloader.get('pin_memory'))
        return list(DataLoader(batches, batch_size=None, collate_fn=_as_it_is, pin_memory=pin))

    def next_batch(self) -> dict:
        """Return the next batch, for which the dataloader may be waited."""
        with self._turn():
            return next(self._source)

    def train_on(self, batch: dict) -> None:
        """Do a step as the runner's loop does it, hooks included."""
        loop = self.runner.train_loop
        number = (loop.iter,) if isinstance(loop, EpochBasedTrainLoop) else ()
        with self._turn():
            loop.run_iter(*number, batch)

    def step(self) -> None:
        """Train on the next batch."""
        self.train_on(self.next_batch())

    def losses(self) -> dict[str, float]:
        """Return the losses of the last step."""
        return {name: float(value) for name, value in (self._outputs.outputs or {}).items()}

    def loss_without_chance(self, batch: dict, seed: int = 0) -> float:
        """Return the loss of a batch in training mode, with dropout and stochastic depth switched off.

        It is computed as the steps are, in their precision and memory format, but for compilation.

        Args:
            batch: As the dataloader gives it.
            seed: What all other random choices, such as the sampling of proposals, are drawn from.
        """
        torch.manual_seed(seed)
        switched = [module for module in self.model.modules() if module.training and _is_chance(module)]
        for module in switched:
            module.eval()
        with self._turn(), torch.no_grad(), torch.compiler.set_stance('force_eager'):
            with self.runner.optim_wrapper.optim_context(self.model):
                data = self.model.data_preprocessor(batch, True)
                losses = self.model(**data, mode='loss')
            loss, _ = self.model.parse_losses(losses)
        for module in switched:
            module.train()
        return float(loss)

    def held_bytes(self) -> int:
        """Return how many bytes of its device it holds between two steps.

        They are those of parameters, gradients and buffers, the optimizer's state, models that hooks keep, such as the
        averaged one of EMA, and a batch that was prefetched.
        """
        optimizer = self.runner.optim_wrapper.optimizer
        kept = (each for hook in self.runner.hooks for each in vars(hook).values() if isinstance(each, nn.Module))
        models = [self.model, *kept]
        parameters = [parameter for model in models for parameter in model.parameters()]
        held = [
            *parameters,
            *(parameter.grad for parameter in parameters),
            *(buffer for model in models for buffer in model.buffers()),
            *(list(state.values()) for state in optimizer.state.values()),
            *(self._source.batches.moved if isinstance(self._source.batches, PrefetchingIterator) else ()),
        ]
        sizes = {}
        for tensor in _tensors(held):
            if tensor.device == self.device:
                storage = tensor.untyped_storage()
                sizes[storage.data_ptr()] = storage.nbytes()
        return sum(sizes.values())

    def settings(self) -> dict[str, object]:
        """Return what is in force, read off what was built."""
        wrapper, backbone = self.runner.optim_wrapper, getattr(self.model, 'backbone', None)
        group = wrapper.optimizer.param_groups[0]
        return dict(
            backbone=f'{type(backbone).__module__.split(".")[0]}.{type(backbone).__name__}',
            optim_wrapper=type(wrapper).__name__,
            precision=self._precision(),
            optimizer=type(wrapper.optimizer).__name__,
            fused=bool(group.get('fused')),
            parameter_groups=len(wrapper.optimizer.param_groups),
            channels_last=any(weight.ndim == 4 and not weight.is_contiguous() for weight in self.model.parameters()),
            cudnn=self._flags,
            hooks=[type(hook).__name__ for hook in self.runner.hooks if hook is not self._outputs],
        )

    def _precision(self) -> str:
        kind = self.device.type
        with self.runner.optim_wrapper.optim_context(self.model):
            dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        return str(dtype).removeprefix('torch.')

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Have the process's settings be this run's, and put back the others' after it."""
        others = _cudnn_flags()
        _set_cudnn_flags(self._flags)
        try:
            yield
        finally:
            self._flags = _cudnn_flags()
            _set_cudnn_flags(others)


class _Batches(list):
    """Batches in place of a dataloader."""

    dataset = None
    sampler = None


def _as_it_is(batch: dict) -> dict:
    return batch


class _Source:
    """Hands out a loop's batches, the dataloader's over and over."""

    def __init__(self, loop: object) -> None:
        self.batches: Iterator[dict] = getattr(loop, 'dataloader_iterator', None) or iter(loop.dataloader)
        self._loader = loop.dataloader

    def __next__(self) -> dict:
        try:
            return next(self.batches)
        except StopIteration:
            self.batches = iter(self._loader)
            return next(self.batches)


def _tensors(held: object) -> Iterator[Tensor]:
    if isinstance(held, Tensor):
        yield held
    elif isinstance(held, BaseDataElement | Mapping):
        for each in held.values():
            yield from _tensors(each)
    elif isinstance(held, list | tuple):
        for each in held:
            yield from _tensors(each)
    elif isinstance(getattr(held, 'tensor', None), Tensor):
        # mmdet's boxes.
        yield held.tensor


def _is_chance(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.dropout._DropoutNd) or type(module).__name__ == STOCHASTIC_DEPTH
