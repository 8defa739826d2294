"""Training by the kernels goes where training by PyTorch goes."""

import pytest
import torch

from convnext_dense.backbones import ConvNeXt

STEPS = 100


@pytest.mark.parametrize('v2', [False, True], ids=['v1', 'v2'])
def test_the_losses_of_a_hundred_steps_are_pytorchs(device, v2):
    images = torch.randn(2, 3, 8, 12, device=device)
    targets = torch.randn(2, 40, 2, 3, device=device)

    def losses(kernels):
        torch.manual_seed(0)
        model = ConvNeXt(
            dict(depths=[1], channels=[40]),
            out_indices=0,
            use_grn=v2,
            layer_scale_init_value=0.0 if v2 else 1.0,
            kernels=kernels,
        ).to(device)
        model.init_weights()
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
        values = []
        for _ in range(STEPS):
            (features,) = model(images)
            loss = (features - targets).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            values.append(loss.item())
        return torch.tensor(values)

    own, pytorchs = losses('triton'), losses('torch')
    assert pytorchs[-1] < 0.5 * pytorchs[0]
    torch.testing.assert_close(own, pytorchs, rtol=1e-3, atol=0)
