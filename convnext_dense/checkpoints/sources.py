"""Reads weights from where a config says they are: a file, an address, a hub, or a short name."""

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse

import torch
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, LocalEntryNotFoundError
from mmengine.dist import barrier, get_local_rank
from mmengine.logging import print_log
from mmengine.runner.checkpoint import get_torchvision_models
from safetensors import SafetensorError
from timm.models import get_pretrained_cfg, load_state_dict_from_hf

from convnext_dense.checkpoints.files import SAFETENSORS, read_file
from convnext_dense.checkpoints.names import PUBLISHED
from convnext_dense.errors import CheckpointError

WEB = ('http://', 'https://')
TIMM, HUGGINGFACE, TORCHVISION = 'timm://', 'huggingface://', 'torchvision://'
# The names that weights have on Hugging Face; timm looks for safetensors of each first.
HUB_FILES = ('pytorch_model.bin', 'open_clip_pytorch_model.bin')


def read_weights(source: str, mmap: bool = True, map_location: str | torch.device = 'cpu') -> dict:
    """Return a checkpoint's content, fetched if need be. Fetched files are kept in PyTorch's and Hugging Face's caches.

    Args:
        source: A path; an address of http or https; a name of `PUBLISHED`, such as ``convnext_tiny_in1k``;
            ``timm://MODEL.TAG``; ``huggingface://ORG/NAME``, and ``/FILE`` for one of many;
            ``torchvision://MODEL`` or ``torchvision://MODEL.WEIGHTS``.
        mmap: Whether a file's weights are read only when they are used.
        map_location: The device for the weights of PyTorch's files.

    Raises:
        CheckpointError: If it is not there, cannot be fetched or is no checkpoint.

    Example:
        >>> from convnext_dense.checkpoints import read_weights
        >>> read_weights('convnext_tiny_in1k')  # doctest: +SKIP
    """
    file = Path(source).expanduser()
    if not file.is_file() and source in PUBLISHED:
        address, licence = PUBLISHED[source]
        print_log(f'{source}: weights from {address}, licence {licence}.', logger='current')
        source = address
    if source.startswith(TIMM):
        source = _timm_address(source.removeprefix(TIMM))
    elif source.startswith(TORCHVISION):
        source = _torchvision_address(source.removeprefix(TORCHVISION))
    if source.startswith(HUGGINGFACE):
        owner, name, *filename = [*source.removeprefix(HUGGINGFACE).split('/', 2), ''][:3]
        file = _cache() / f'{owner}--{name}{SAFETENSORS}'
        if not file.is_file():
            return _read_hub(f'{owner}/{name}', [each for each in filename if each] or HUB_FILES, file)
    elif source.startswith(WEB):
        file = _download(source)
    if not file.is_file():
        raise CheckpointError(_not_there(source))
    return read_file(file, mmap, map_location)


def _not_there(source: str) -> str:
    similar = difflib.get_close_matches(source, PUBLISHED, n=3)
    names = f'; published weights of a similar name are {", ".join(similar)}' if similar else ''
    return f'there is no checkpoint file {source}{names}.'


def _cache() -> Path:
    return Path(torch.hub.get_dir()) / 'checkpoints'


def _download(address: str) -> Path:
    """Return the cached file of an address; one process on each machine fetches it."""
    name = os.path.basename(urlparse(address).path)
    file = _cache() / name
    problem = None
    if not file.is_file() and get_local_rank() == 0:
        # OpenMMLab and timm write the start of the file's SHA-256 into its name.
        digest = re.search(r'-([0-9a-f]{8,})\.', name)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(address, str(file), digest[1] if digest else None, progress=os.isatty(2))
        except (OSError, ValueError, RuntimeError) as error:
            problem = error
    barrier()
    if not file.is_file():
        reason = f' ({problem})' if problem else ''
        raise CheckpointError(
            f'{name} could not be fetched from {address}{reason}; fetch it where there is a network, and put it at '
            f'{file}, or give its path as the checkpoint.'
        ) from problem
    return file


def _timm_address(name: str) -> str:
    try:
        cfg = get_pretrained_cfg(name)
    except RuntimeError:
        cfg = None
    if cfg is None or not (cfg.hf_hub_id or cfg.url):
        raise CheckpointError(f'timm://{name}: this version of timm knows no weights of that name.')
    file = f'/{cfg.hf_hub_filename}' if cfg.hf_hub_filename else ''
    return f'{HUGGINGFACE}{cfg.hf_hub_id}{file}' if cfg.hf_hub_id else cfg.url


def _read_hub(repository: str, filenames: Sequence[str], copy: Path) -> dict:
    """Read a Hugging Face repository's weights by timm's own code; `copy` is where a user may put them instead."""
    problem = None
    for filename in filenames:
        try:
            return dict(state_dict=load_state_dict_from_hf(repository, filename, weights_only=True))
        except (OSError, ValueError, SafetensorError) as error:
            problem = error
            absent = isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError)
            if not absent:
                break
    gated = ' Its licence must be accepted there first, and `hf auth login` run here.'
    raise CheckpointError(
        f'the weights of {repository} could not be fetched from https://huggingface.co/{repository} '
        f'({type(problem).__name__}); fetch them where there is a network, and put the safetensors file at {copy}, or '
        f'give its path as the checkpoint.{gated if isinstance(problem, GatedRepoError) else ""}'
    ) from problem


def _torchvision_address(name: str) -> str:
    addresses = get_torchvision_models()
    if '.' not in name:
        name = f'{name}.default'
    if name not in addresses:
        similar = difflib.get_close_matches(name, addresses, n=3)
        raise CheckpointError(
            f'torchvision://{name}: torchvision has no weights of that name; similar ones are {", ".join(similar)}.'
        )
    return addresses[name]


def load_from_anywhere(source: str, map_location: str | torch.device | None = None) -> dict:
    """Read a whole checkpoint for mmengine: `read_weights` without mmap, which outlives a file's change."""
    return read_weights(source, mmap=False, map_location=map_location or 'cpu')
