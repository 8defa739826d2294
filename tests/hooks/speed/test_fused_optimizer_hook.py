"""Fused optimizers in runs that resume from checkpoints of others."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn

from convnext_dense.errors import UsageError
from convnext_dense.hooks import FusedOptimizerHook


class TestFusedOptimizerHook:
    def test_the_optimizer_stays_fused_when_resumed(self):
        weight = nn.Parameter(torch.ones(3))
        weight.grad = torch.ones(3)
        plain = torch.optim.AdamW([weight], fused=False)
        plain.step()
        fused = torch.optim.AdamW([weight], fused=True)
        fused.load_state_dict(plain.state_dict())
        assert not fused.param_groups[0]['fused']
        wrapper = OptimWrapperDict(model=OptimWrapper(fused))
        FusedOptimizerHook().before_train(SimpleNamespace(optim_wrapper=wrapper))
        assert fused.param_groups[0]['fused']
        fused.step()

    def test_an_optimizer_that_is_not_fused_is_an_error(self):
        wrapper = OptimWrapper(torch.optim.SGD([nn.Parameter(torch.ones(3))], lr=1.0))
        with pytest.raises(UsageError, match=r'SGD is not fused; set optim_wrapper\.optimizer\.fused=True'):
            FusedOptimizerHook().before_train(SimpleNamespace(optim_wrapper=wrapper))


def test_fused_adamw_takes_scaled_and_clipped_gradients():
    weight = nn.Parameter(torch.ones(3, 2, 2, 2).to(memory_format=torch.channels_last))
    plain = nn.Parameter(torch.ones(3, 2, 2, 2))
    for param, fused in ((weight, True), (plain, False)):
        optimizer = torch.optim.AdamW([param], lr=0.1, fused=fused)
        scaler = torch.amp.GradScaler('cpu', init_scale=1024.0)
        for _ in range(3):
            scaler.scale((param * torch.arange(24.0).view(3, 2, 2, 2)).square().sum()).backward()
            scaler.unscale_(optimizer)
            assert torch.nn.utils.clip_grad_norm_([param], 1.0).isfinite()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    torch.testing.assert_close(weight, plain)
