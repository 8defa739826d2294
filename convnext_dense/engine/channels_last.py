"""Runs a model in the channels-last memory format."""

import torch
from mmcv.cnn.bricks.conv_ws import ConvWS2d
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from convnext_dense.engine.optimizer_state import (
    lay_out_like_parameters,
    optimizers_of,
    saved_optimizers,
)
from convnext_dense.registry import HOOKS


def to_channels_last(model: nn.Module) -> int:
    """Lay the weights of the model's convolutions out as channels-last, which makes their outputs so too.

    Other parameters of four dimensions stay: the operators that take them, such as deformable convolution, read them
    as contiguous ones, and so does weight standardisation.

    Args:
        model: What is changed.

    Returns:
        How many convolutions there are.

    Example:
        >>> convolution = nn.Conv2d(8, 16, 3)
        >>> to_channels_last(nn.Sequential(convolution))
        1
        >>> convolution(torch.rand(2, 8, 5, 5)).is_contiguous(memory_format=torch.channels_last)
        True
    """
    convolutions = [
        module
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not isinstance(module, ConvWS2d)
    ]
    for convolution in convolutions:
        convolution.to(memory_format=torch.channels_last)
    return len(convolutions)


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Lays the whole model out as channels-last for training, validation and testing.

    It acts before the run's other hooks copy the model, and wraps a distributed model anew, whose buckets of
    gradients would keep the old layout. An optimizer's loaded state follows the weights. Checkpoints are saved
    contiguous, so that runs with and without this hook go on from each other's.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.ChannelsLastHook')]
    """

    # Before EMAHook, whose copy of the model then has the same layout.
    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Lay the model out."""
        wrapped = is_model_wrapper(runner.model)
        model = runner.model.module if wrapped else runner.model
        count = to_channels_last(model)
        if wrapped:
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
        if not any(isinstance(hook, ContiguousCheckpointHook) for hook in runner.hooks):
            # After EMAHook, which puts its own weights into the checkpoint.
            runner.register_hook(ContiguousCheckpointHook(), priority='VERY_LOW')
            print_log(f'The weights of {count} convolutions are laid out as channels-last.', logger='current')

    def before_train(self, runner: Runner) -> None:
        """Lay the optimizer's state out: a checkpoint may have been loaded."""
        for optimizer in optimizers_of(runner.optim_wrapper):
            lay_out_like_parameters(optimizer)


class ContiguousCheckpointHook(Hook):
    """Saves weights and optimizer states contiguous, as runs without channels-last do."""

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Replace what lies otherwise."""
        states = [checkpoint['state_dict'], checkpoint.get('ema_state_dict', {})]
        for saved in saved_optimizers(checkpoint):
            states.extend(saved['state'].values())
        for state in states:
            for name, value in state.items():
                if isinstance(value, Tensor):
                    state[name] = value.contiguous()
