"""Fixtures of the kernels' tests, which run on a GPU if there is one, and else in Triton's interpreter."""

import pytest
import torch
from torch import Tensor


@pytest.fixture
def device() -> torch.device:
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


@pytest.fixture
def random(device: torch.device):
    """Make a tensor of random values that asks for its gradient."""

    def make(*shape: int, deviation: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
        return (torch.randn(shape, device=device) * deviation).to(dtype).requires_grad_()

    return make


def relative_error(value: Tensor, exact: Tensor) -> float:
    """Return the norm of the difference over the norm of what is exact."""
    return ((value.double() - exact).norm() / exact.norm()).item()


@pytest.fixture
def check():
    """Hold outputs and gradients of a function against those of another in float64.

    Below float32, the error may be 1.5 times that of the other function in the same dtype.
    """

    def check_against(function, reference, inputs: list[Tensor], low: torch.dtype | None = None) -> None:
        with torch.no_grad():
            gradient = torch.randn_like(function(*inputs), dtype=torch.float32)

        def outputs_and_gradients(call, given: list[Tensor]) -> list[Tensor]:
            given = [each.detach().requires_grad_() for each in given]
            out = call(*given)
            return [out, *torch.autograd.grad(out, given, gradient.to(out.dtype))]

        exact = outputs_and_gradients(reference, [each.double() for each in inputs])
        own = outputs_and_gradients(function, inputs)
        for i, (value, target) in enumerate(zip(own, exact, strict=True)):
            assert value.shape == target.shape
            if low is None:
                assert relative_error(value, target) < 2e-6, f'result {i}'
        if low is None:
            return
        others = outputs_and_gradients(reference, inputs)
        for i, (value, other, target) in enumerate(zip(own, others, exact, strict=True)):
            assert value.dtype == other.dtype
            allowed = 1.5 * relative_error(other, target) + 1e-6
            assert relative_error(value, target) <= allowed, f'result {i}'

    return check_against
