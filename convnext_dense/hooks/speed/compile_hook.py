"""Compiles the dense parts of a model."""

from collections.abc import Sequence
from types import MethodType

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn

from convnext_dense.errors import UsageError
from convnext_dense.hooks.speed.compile_cache import prepare_cache, recover_cache
from convnext_dense.registry import HOOKS
from convnext_dense.toolchain import COMPILERS, has_compiler, python_header
from convnext_dense.training.unwrap import unwrap

DENSE_MODULES = ('backbone', 'neck', 'rpn_head', 'bbox_head', 'decode_head', 'auxiliary_head')
# Those in which PyTorch records CUDA graphs.
RECORDING_MODES = ('reduce-overhead', 'max-autotune')


class CompiledForward:
    """A module's compiled forward, which replaces the module's own.

    ``torch.compile(module)`` would put ``_orig_mod`` into the names of the weights, and ``module.compile()`` has no
    effect on mmseg's decoders, which call ``self.forward(...)``. Here the module stays as it is. It can be copied and
    pickled; a copy compiles its own forward in its first call.

    Args:
        module: The module whose forward is compiled.
        options: The arguments of `torch.compile`.
        begins_pass: Whether CUDA graphs may write over what they wrote, each time that the module is evaluated: a test
            sends many windows or views through the network in one step.

    Example:
        >>> module = nn.Linear(2, 3)
        >>> module.forward = CompiledForward(module, dict(backend='eager'))
        >>> module(torch.zeros(1, 2)).shape, list(module.state_dict())
        (torch.Size([1, 3]), ['weight', 'bias'])
    """

    def __init__(self, module: nn.Module, options: dict, begins_pass: bool = False) -> None:
        self.module = module
        self.begins_pass = begins_pass
        self.options = options
        self._compiled = None

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Run the forward, and compile it first if there is no code yet for such arguments."""
        if self.begins_pass and not self.module.training:
            torch.compiler.cudagraph_mark_step_begin()
        # Imported here because they are private to PyTorch, and load torch._dynamo.
        from torch._dynamo import config as dynamo_config
        from torch.fx.experimental import _config as shapes_config

        # Duck shaping assumes that equal sizes stay equal, and recompiles when they do not. optimize_ddp splits graphs
        # at DDP's buckets, which fails with varying sizes and with recomputed blocks.
        with shapes_config.patch(use_duck_shape=False), dynamo_config.patch(optimize_ddp=False):
            while True:
                if self._compiled is None:
                    forward = MethodType(type(self.module).forward, self.module)
                    self._compiled = torch.compile(forward, **self.options)
                try:
                    return self._compiled(*args, **kwargs)
                except Exception as error:
                    if not recover_cache(error):
                        raise
                self._compiled = None

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_compiled': None}


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles backbone, neck and dense heads with `torch.compile`, once for images of every size.

    Training and evaluation compile once each, in their first step. Heads that work on queries (DINO, Mask2Former) and
    RoI heads are not compiled.

    Args:
        modules: Names of the model's modules to compile. Defaults to those of `DENSE_MODULES` that the model has.
        dynamic: Whether the code serves every size. False compiles again for each size, up to PyTorch's limit; None
            compiles for one size first, and for every size when the second one comes.
        backend: `torch.compile`'s backend.
        mode: `torch.compile`'s mode. 'reduce-overhead' and 'max-autotune' record CUDA graphs, one for each size, with
            which a GPU does not wait for the host to launch each kernel.

    Raises:
        UsageError: If the model has no such module, or the machine cannot compile.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.CompileHook')]
    """

    def __init__(
        self,
        modules: Sequence[str] | None = None,
        dynamic: bool | None = True,
        backend: str = 'inductor',
        mode: str | None = None,
    ) -> None:
        self.modules = modules
        self.options = dict(dynamic=dynamic, backend=backend, mode=mode)

    def before_run(self, runner: Runner) -> None:
        """Check that the machine can compile, before the data and weights are loaded."""
        if self.options['backend'] == 'inductor':
            check_compiler(next(runner.model.parameters()).device.type)
            prepare_cache()

    def before_train(self, runner: Runner) -> None:
        """Replace the forwards."""
        self._compile(runner.model)

    def before_val(self, runner: Runner) -> None:
        """Replace the forwards, if there was no training."""
        self._compile(runner.model)

    def before_test(self, runner: Runner) -> None:
        """Replace the forwards."""
        self._compile(runner.model)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | tuple | list | None = None) -> None:
        """Allow CUDA graphs to write over what they wrote in the last step."""
        if self.options['mode'] in RECORDING_MODES:
            torch.compiler.cudagraph_mark_step_begin()

    def _compile(self, model: nn.Module) -> None:
        targets = self._targets(unwrap(model))
        new = [name for name, module in targets.items() if not isinstance(module.forward, CompiledForward)]
        records = self.options['mode'] in RECORDING_MODES
        for i, name in enumerate(new):
            targets[name].forward = CompiledForward(targets[name], self.options, records and i == 0)
        if new:
            print_log(f'Compiled in their first step: {", ".join(new)}.', logger='current')

    def _targets(self, model: nn.Module) -> dict[str, nn.Module]:
        # Imported here because mmdet loads all of mmcv's operators.
        from mmdet.models.dense_heads import DETRHead, MaskFormerHead

        targets = {}
        for name in self.modules or DENSE_MODULES:
            try:
                module = model.get_submodule(name)
            except AttributeError:
                if self.modules:
                    children = ', '.join(child for child, _ in model.named_children())
                    raise UsageError(
                        f'CompileHook.modules: {type(model).__name__} has no module {name!r}; it has {children}.'
                    ) from None
                continue
            if isinstance(module, nn.ModuleList):
                targets |= {f'{name}.{i}': child for i, child in enumerate(module)}
            else:
                targets[name] = module
        # Matching and losses of these heads are Python that changes with every step.
        query_heads = (DETRHead, MaskFormerHead)
        return {name: module for name, module in targets.items() if not isinstance(module, query_heads)}


def check_compiler(device: str) -> None:
    """Raise UsageError if this machine cannot compile the code that `torch.compile` generates.

    Args:
        device: The type of device that the code is for, such as 'cuda'.

    Raises:
        UsageError: If there is no compiler, or Python's headers are missing.
    """
    names, language, variable = COMPILERS.get(device, COMPILERS['cuda'])
    if not has_compiler(names, variable):
        raise UsageError(
            f'CompileHook: torch.compile needs a {language} compiler, and this machine has none; install {names[0]}, '
            f'name one in the environment variable {variable}, or leave compile out.'
        )
    header = python_header()
    if not header.is_file():
        raise UsageError(
            f"CompileHook: torch.compile needs Python's headers, and there is no {header}; install them (python3-dev), "
            'or leave compile out.'
        )
