"""Runs a model in the channels-last memory format."""

import torch
from mmcv.cnn.bricks.conv_ws import ConvWS2d
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from convnext_dense.registry import HOOKS
from convnext_dense.training.checkpoints.optimizer_state import lay_out_like_parameters, optimizers_of, saved_optimizers


def to_channels_last(model: nn.Module) -> int:
    """Convert the weights of the model's convolutions to channels-last. Their outputs then are channels-last too.

    Other parameters of four dimensions keep their format: deformable convolutions and weight standardization read them
    as contiguous.

    Args:
        model: The model, which is changed.

    Returns:
        The number of weights that were converted.

    Example:
        >>> convolution = nn.Conv2d(8, 16, 3)
        >>> to_channels_last(nn.Sequential(convolution))
        1
        >>> convolution(torch.rand(2, 8, 5, 5)).is_contiguous(memory_format=torch.channels_last)
        True
    """
    converted = 0
    for module in model.modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d) or isinstance(module, ConvWS2d):
            continue
        weight = module.weight
        # Not `is_contiguous`, which is true of a depthwise weight in both formats: DDP's buckets compare the strides.
        if weight.stride() != torch.empty_like(weight, memory_format=torch.channels_last, device='meta').stride():
            weight.data = weight.data.clone(memory_format=torch.channels_last)
            converted += 1
    return converted


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Converts the whole model to channels-last for training, validation and testing.

    It acts after the weights are initialized and loaded, so a seed gives the same weights as without it. A distributed
    model is wrapped again, because its gradient buckets would keep the old strides. The optimizer's loaded state and
    EMA's copy of the model are converted too. Checkpoints are saved contiguous, so runs with and without this hook can
    resume from each other's checkpoints.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.ChannelsLastHook')]
    """

    # After EMAHook, which puts its averaged weights into the checkpoint.
    priority = 'VERY_LOW'

    def before_train(self, runner: Runner) -> None:
        """Convert the model, and the optimizer's state, which may have been loaded."""
        self._convert(runner)
        for optimizer in optimizers_of(runner.optim_wrapper):
            lay_out_like_parameters(optimizer)

    def before_val(self, runner: Runner) -> None:
        """Convert the model, which may be validated without being trained."""
        self._convert(runner)

    def before_test(self, runner: Runner) -> None:
        """Convert the model."""
        self._convert(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save weights and optimizer state contiguous, as runs without this hook do."""
        states = [checkpoint['state_dict'], checkpoint.get('ema_state_dict', {})]
        for saved in saved_optimizers(checkpoint):
            states.extend(saved['state'].values())
        for state in states:
            for name, value in state.items():
                if isinstance(value, Tensor):
                    state[name] = value.contiguous()

    def _convert(self, runner: Runner) -> None:
        if not to_channels_last(runner.model):
            return
        print_log('Convolution weights are laid out as channels-last.', logger='current')
        if is_model_wrapper(runner.model):
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), runner.model.get_submodule('module'))
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                average = hook.ema_model
                to_channels_last(average.module)
                if average.update_buffers:
                    # These are references to the old memory.
                    average.avg_parameters = average.module.state_dict()
