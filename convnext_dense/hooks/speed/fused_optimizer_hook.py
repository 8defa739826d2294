"""Keeps a fused optimizer fused through a resumed run."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from convnext_dense.errors import UsageError
from convnext_dense.registry import HOOKS
from convnext_dense.training.checkpoints.optimizer_state import lay_out_like_parameters, optimizers_of, saved_optimizers


@HOOKS.register_module()
class FusedOptimizerHook(Hook):
    """Lets a run with ``optimizer=dict(fused=True)`` and one without resume from each other's checkpoints.

    A PyTorch optimizer that is resumed takes its settings from the checkpoint, including ``fused``, and the config's
    is lost. This hook restores the config's and fits the loaded state to it. Checkpoints are saved with PyTorch's
    default, None.

    Raises:
        UsageError: If the optimizer is not fused.

    Example:
        >>> optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-4, fused=True))
        >>> custom_hooks = [dict(type='convnext_dense.FusedOptimizerHook')]
    """

    def before_train(self, runner: Runner) -> None:
        """Restore ``fused``, and fit the loaded state to it."""
        for optimizer in optimizers_of(runner.optim_wrapper):
            if not optimizer.defaults.get('fused'):
                raise UsageError(
                    f'FusedOptimizerHook: {type(optimizer).__name__} is not fused; '
                    'set optim_wrapper.optimizer.fused=True, or leave the hook out.'
                )
            for group in optimizer.param_groups:
                group.update(fused=True, foreach=None)
                for param in group['params']:
                    state = optimizer.state.get(param, {})
                    if 'step' in state:
                        # The fused kernel keeps its step count on the parameter's device, other forms on the CPU.
                        state['step'] = state['step'].to(param.device)
            lay_out_like_parameters(optimizer)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save PyTorch's default in place of ``fused``."""
        for saved in saved_optimizers(checkpoint):
            for group in saved['param_groups']:
                group['fused'] = None
            # mmengine's record of the optimizer's defaults.
            if 'base_param_settings' in saved:
                saved['base_param_settings'] = {**saved['base_param_settings'], 'fused': None}
