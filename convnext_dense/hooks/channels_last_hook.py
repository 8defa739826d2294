"""Runs a model in the channels-last memory format."""

import torch
from mmcv.cnn.bricks.conv_ws import ConvWS2d
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from convnext_dense.registry import HOOKS
from convnext_dense.training.optimizer_state import (
    lay_out_like_parameters,
    optimizers_of,
    saved_optimizers,
)


def to_channels_last(model: nn.Module) -> int:
    """Lay the weights of the model's convolutions out as channels-last, which makes their outputs so too.

    Other parameters of four dimensions stay: the operators that take them, such as deformable convolution, read them
    as contiguous ones, and so does weight standardisation.

    Args:
        model: What is changed.

    Returns:
        How many convolutions lay otherwise.

    Example:
        >>> convolution = nn.Conv2d(8, 16, 3)
        >>> to_channels_last(nn.Sequential(convolution))
        1
        >>> convolution(torch.rand(2, 8, 5, 5)).is_contiguous(memory_format=torch.channels_last)
        True
    """
    laid_out = 0
    for module in model.modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d) or isinstance(module, ConvWS2d):
            continue
        weight = module.weight
        # Not `is_contiguous`: a depthwise weight is so in both layouts, and DDP's buckets want the very strides of the
        # gradients.
        if weight.stride() != torch.empty_like(weight, memory_format=torch.channels_last, device='meta').stride():
            weight.data = weight.data.clone(memory_format=torch.channels_last)
            laid_out += 1
    return laid_out


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Lays the whole model out as channels-last for training, validation and testing.

    It acts once the weights are initialised and loaded, so that a seed gives the weights it would without. A
    distributed model is wrapped anew, for its buckets of gradients would keep the old layout; an optimizer's loaded
    state and EMA's copy of the model follow the weights. Checkpoints are saved contiguous: runs with and without this
    hook go on from each other's.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.ChannelsLastHook')]
    """

    # After EMAHook, which puts its own weights into the checkpoint.
    priority = 'VERY_LOW'

    def before_train(self, runner: Runner) -> None:
        """Lay out the model and the optimizer's state, which may have been loaded."""
        self._lay_out(runner)
        for optimizer in optimizers_of(runner.optim_wrapper):
            lay_out_like_parameters(optimizer)

    def before_val(self, runner: Runner) -> None:
        """Lay out the model, which may be validated without being trained."""
        self._lay_out(runner)

    def before_test(self, runner: Runner) -> None:
        """Lay out the model."""
        self._lay_out(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Have weights and optimizer states saved contiguous, as runs without this hook do."""
        states = [checkpoint['state_dict'], checkpoint.get('ema_state_dict', {})]
        for saved in saved_optimizers(checkpoint):
            states.extend(saved['state'].values())
        for state in states:
            for name, value in state.items():
                if isinstance(value, Tensor):
                    state[name] = value.contiguous()

    def _lay_out(self, runner: Runner) -> None:
        wrapped = is_model_wrapper(runner.model)
        model = runner.model.module if wrapped else runner.model
        if not to_channels_last(model):
            return
        print_log('The weights of convolutions are laid out as channels-last.', logger='current')
        if wrapped:
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                average = hook.ema_model
                to_channels_last(average.module)
                if average.update_buffers:
                    # It kept the old memory.
                    average.avg_parameters = average.module.state_dict()
