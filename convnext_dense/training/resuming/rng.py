"""The state of a process's random generators."""

import random
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def rng_state() -> dict[str, Any]:
    """Return the state of Python's, NumPy's and PyTorch's generators, as plain values and tensors.

    PyTorch's is that of the CPU, and of the current GPU if there is one.

    Example:
        >>> state = rng_state()
        >>> first = torch.rand(2)
        >>> set_rng_state(state)
        >>> bool((torch.rand(2) == first).all())
        True
    """
    name, keys, position, has_gauss, gauss = np.random.get_state()
    state = dict(
        python=random.getstate(),
        numpy=(name, [int(key) for key in keys], position, has_gauss, gauss),
        torch=torch.get_rng_state(),
    )
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Give the generators a state.

    Args:
        state: As `rng_state` returns it. A GPU's is passed over on a machine without one.

    Example:
        >>> set_rng_state(rng_state())
    """
    version, keys, gauss = state['python']
    random.setstate((version, tuple(keys), gauss))
    name, keys, *rest = state['numpy']
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


def seed_generators(*words: int) -> None:
    """Seed Python's, NumPy's and PyTorch's generators of the CPU by numbers that say what the randomness is for.

    Other numbers, also such as differ by one, give independent streams.

    Args:
        *words: Integers of at least 0.

    Reference:
        numpy's `SeedSequence <https://numpy.org/doc/stable/reference/random/bit_generators/>`_, after O'Neill, 2015.

    Example:
        >>> seed_generators(0, 7)
        >>> first = random.random()
        >>> seed_generators(0, 7)
        >>> random.random() == first
        True
    """
    python, numpy, pytorch = np.random.SeedSequence(words).generate_state(3)
    random.seed(int(python))
    np.random.seed(numpy)
    # Not torch.manual_seed, which seeds the GPUs, too.
    torch.default_generator.manual_seed(int(pytorch))


@contextmanager
def kept_generators() -> Generator[None]:
    """Leave the generators after the block as they were before it.

    Example:
        >>> state = rng_state()
        >>> with kept_generators():
        ...     _ = random.random(), torch.rand(1)
        >>> random.getstate() == state['python']
        True
    """
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    on_gpu = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(state[0])
        np.random.set_state(state[1])
        torch.set_rng_state(state[2])
        if on_gpu is not None:
            torch.cuda.set_rng_state(on_gpu)
