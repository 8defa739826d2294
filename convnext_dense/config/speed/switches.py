"""The names of the switches for speed. This file imports nothing heavy, so that a command's help is quick."""

from collections.abc import Sequence

from convnext_dense.errors import UsageError

# What each switch does, in the order in which they are applied.
SWITCHES = {
    'channels_last': 'lay weights and feature maps out as N, H, W, C',
    'bf16': 'compute the losses in bfloat16',
    'compile': 'compile backbone, neck and dense heads',
    'cudnn_benchmark': 'let cuDNN time its kernels while shapes are few',
    'fused_adamw': 'update all weights of a parameter group with one kernel',
    'ddp': 'keep gradients in the buckets that are sent to other GPUs',
    'prefetch': 'copy the next batch to the GPU during a step',
    'waits': 'ask the GPU less often in a step, and so wait for it less often',
    'data': 'prepare images and annotations by faster transforms of the same result',
}
# Those that also act in testing.
TEST_SWITCHES = ('channels_last', 'compile', 'data')
# On the command line of a training, in place of names: those that pay on the machine.
AUTO = 'auto'
# Former names.
RENAMED = {'autotune': 'cudnn_benchmark'}


def check_switches(names: Sequence[str], allowed: Sequence[str]) -> None:
    """Raise UsageError if a name is not that of a switch.

    Args:
        names: The names.
        allowed: The switches that act here.

    Example:
        >>> check_switches(['bf16'], list(SWITCHES))
    """
    for name in names:
        if name in RENAMED:
            raise UsageError(f'speed: {name} is now called {RENAMED[name]}.')
        if name == AUTO:
            raise UsageError('speed: auto stands alone, in a training on the command line.')
        if name in SWITCHES and name not in allowed and tuple(allowed) != TEST_SWITCHES:
            raise UsageError(f'speed: {name} has no effect here; choose from {", ".join(allowed)}.')
        if name in SWITCHES and name not in allowed:
            raise UsageError(f'speed: {name} acts in training only; testing has {", ".join(allowed)}.')
        if name not in allowed:
            alone = f', or {AUTO} alone' if tuple(allowed) == tuple(SWITCHES) else ''
            raise UsageError(f'speed: there is no switch {name!r}; choose from {", ".join(allowed)}{alone}.')
