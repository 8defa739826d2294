"""Training by the kernels goes where training by PyTorch goes."""

import pytest
import torch

from convnext_dense.backbones import ConvNeXt
from convnext_dense.kernels.depthwise_conv import launch as depthwise_conv_launch


@pytest.fixture(autouse=True)
def _smallest_tiles(monkeypatch):
    """Have Triton's interpreter do no more than such small maps need."""
    monkeypatch.setattr(
        depthwise_conv_launch, 'tune', lambda kernel, code, x, candidates, launch: launch(candidates[-1])
    )


@pytest.mark.parametrize(('v2', 'steps'), [(False, 100), (True, 20)], ids=['v1', 'v2'])
def test_the_losses_of_many_steps_are_pytorchs(device, v2, steps):
    images = torch.randn(1, 3, 8, 12, device=device)
    targets = torch.randn(1, 32, 2, 3, device=device)

    def losses(kernels):
        torch.manual_seed(0)
        model = ConvNeXt(
            dict(depths=[1], channels=[32]),
            out_indices=0,
            use_grn=v2,
            layer_scale_init_value=0.0 if v2 else 1.0,
            kernels=kernels,
        ).to(device)
        model.init_weights()
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
        values = []
        for _ in range(steps):
            (features,) = model(images)
            loss = (features - targets).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            values.append(loss.item())
        return torch.tensor(values)

    own, pytorchs = losses('triton'), losses('torch')
    assert pytorchs[-1] < 0.7 * pytorchs[0]
    torch.testing.assert_close(own, pytorchs, rtol=1e-3, atol=0)
