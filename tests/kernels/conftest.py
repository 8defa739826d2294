"""Fixtures of the kernels' tests, which run on a GPU if there is one, and in Triton's interpreter otherwise."""

import os
from collections.abc import Sequence
from importlib.metadata import version

import pytest
import torch
from torch import Tensor

from convnext_dense.kernels.devices import has_triton
from convnext_dense.kernels.support import OLDEST_TRITON


def release(package: str) -> tuple[int, ...]:
    return tuple(map(int, version(package).split('.')[:2]))


@pytest.fixture(autouse=True)
def needs_triton():
    if not has_triton():
        pytest.skip(f'Triton is older than {".".join(map(str, OLDEST_TRITON))}')
    if os.environ.get('TRITON_INTERPRET') == '1' and release('triton') < (3, 7) and release('numpy') >= (2, 4):
        pytest.skip('the interpreter of Triton 3.6 makes numbers of arrays of one, which NumPy 2.4 refuses')


@pytest.fixture
def device() -> torch.device:
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


@pytest.fixture
def random(device: torch.device):
    """Make a tensor of random values that requires its gradient."""

    def make(*shape: int, deviation: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
        return (torch.randn(shape, device=device) * deviation).to(dtype).requires_grad_()

    return make


@pytest.fixture
def check():
    """Compare a function's outputs and gradients with those of a reference in float64.

    With `low`, a dtype below float32, the error may be 1.5 times that of the reference in that dtype.
    """

    def check_against(function, reference, inputs: list[Tensor], low: torch.dtype | None = None) -> None:
        with torch.no_grad():
            grad_out = torch.randn_like(function(*inputs), dtype=torch.float32)

        def outputs_and_gradients(call, values: list[Tensor]) -> list[Tensor]:
            values = [value.detach().requires_grad_() for value in values]
            out = call(*values)
            return [out, *torch.autograd.grad(out, values, grad_out.to(out.dtype))]

        exact = outputs_and_gradients(reference, [value.double() for value in inputs])
        ours = outputs_and_gradients(function, inputs)
        allowed = [2e-6] * len(exact)
        if low is not None:
            references = outputs_and_gradients(reference, inputs)
            assert [value.dtype for value in ours] == [value.dtype for value in references]
            allowed = [1.5 * error + 1e-6 for error in _relative_errors(references, exact)]
        assert [value.shape for value in ours] == [value.shape for value in exact]
        for i, (error, limit) in enumerate(zip(_relative_errors(ours, exact), allowed, strict=True)):
            assert error <= limit, f'result {i}'

    return check_against


def _relative_errors(values: Sequence[Tensor], exact: Sequence[Tensor]) -> list[float]:
    return [
        ((value.double() - target).norm() / target.norm()).item() for value, target in zip(values, exact, strict=True)
    ]
