"""Reads weights from where a config says they are: a file, an address, a hub, or a short name."""

import difflib
import os
import re

import torch
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader, get_torchvision_models

from convnext_dense.errors import CheckpointError, UsageError
from convnext_dense.regular_files import special_kind
from convnext_dense.weights.published import PUBLISHED
from convnext_dense.weights.recognize import BACKBONE, find_detr, flatten, recognize
from convnext_dense.weights.storage.downloads import download, read_hub
from convnext_dense.weights.storage.files import check_harmless, read_file

WEB = ('http://', 'https://')
TIMM_SCHEME, HUGGINGFACE_SCHEME, TORCHVISION_SCHEME = 'timm://', 'huggingface://', 'torchvision://'
# mmengine asks this package to read these.
REGISTERED = (*WEB, TIMM_SCHEME, HUGGINGFACE_SCHEME)
HUGGINGFACE_FILE = re.compile(r'https://huggingface\.co/([^/]+/[^/]+)/resolve/main/([^?]+)')


def read_weights(source: str, mmap: bool = True, map_location: str | torch.device = 'cpu') -> dict:
    """Return a checkpoint's content. Downloads are kept in PyTorch's and Hugging Face's caches.

    Args:
        source: A path; an address of http or https; a name of `PUBLISHED`, such as ``convnext_tiny_in1k``;
            ``timm://MODEL.TAG``; ``huggingface://ORG/NAME``, or ``huggingface://ORG/NAME/FILE`` for one of its files;
            ``torchvision://MODEL`` or ``torchvision://MODEL.WEIGHTS``; or what mmengine reads, such as ``s3://``.
        mmap: Whether to read a file's weights only when they are used.
        map_location: The device for the weights of PyTorch's files.

    Raises:
        CheckpointError: If it does not exist, cannot be fetched, or is no checkpoint.

    Example:
        >>> from convnext_dense.weights import read_weights
        >>> read_weights('convnext_tiny_in1k')  # doctest: +SKIP
    """
    file = os.path.expanduser(source)
    if os.path.isfile(file) or special_kind(file):
        return read_file(file, mmap, map_location)
    if source in PUBLISHED:
        address, license = PUBLISHED[source]
        print_log(f'{source}: weights from {address}, license {license}.', logger='current')
        source = address
    if source.startswith(TIMM_SCHEME):
        source = _timm_address(source.removeprefix(TIMM_SCHEME))
    elif source.startswith(TORCHVISION_SCHEME):
        source = _torchvision_address(source.removeprefix(TORCHVISION_SCHEME))
    if match := HUGGINGFACE_FILE.fullmatch(source):
        source = f'{HUGGINGFACE_SCHEME}{match[1]}/{match[2]}'
    if source.startswith(HUGGINGFACE_SCHEME):
        owner, name, filename = [*source.removeprefix(HUGGINGFACE_SCHEME).split('/', 2), '', ''][:3]
        if not owner or not name:
            raise CheckpointError(f'{source}: a repository is named as {HUGGINGFACE_SCHEME}ORG/NAME.')
        return read_hub(f'{owner}/{name}', filename)
    if source.startswith(WEB):
        return read_file(download(source), mmap, map_location)
    if '://' in source:
        return _read_by_mmengine(source, map_location)
    if os.path.isdir(file):
        raise CheckpointError(f'the checkpoint {source} is a folder; give a file in it.')
    raise CheckpointError(_not_there(source))


def load_from_anywhere(source: str, map_location: str | torch.device | None = None) -> dict:
    """Read a whole checkpoint for mmengine, which looks for the weights under `state_dict`.

    The file is read at once, not by mmap: a run must outlive a change of the file.

    Args:
        source: As in `read_weights`.
        map_location: The device. Defaults to the CPU.

    Raises:
        CheckpointError: As in `read_weights`.
    """
    if '://' in source and not source.startswith(REGISTERED):
        raise CheckpointError(_not_there(source))
    checkpoint = read_weights(source, mmap=False, map_location=map_location or 'cpu')
    state_dict = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state_dict, dict) or not all(isinstance(name, str) for name in state_dict):
        raise CheckpointError(f'the checkpoint {source} holds no weights by name, which load_from needs.')
    if 'state_dict' in checkpoint or all(isinstance(value, torch.Tensor) for value in checkpoint.values()):
        return checkpoint
    if weights := find_detr(checkpoint):
        return dict(state_dict=weights)
    detected = recognize(flatten(checkpoint))
    wrapper = detected.prefix.split('.')[0] if detected else ''
    # Unwrap whole models only, such as a detector saved as `model`.
    if detected and detected.prefix.endswith(BACKBONE) and isinstance(checkpoint.get(wrapper), dict):
        return {**checkpoint, 'state_dict': checkpoint[wrapper]}
    return checkpoint


def _read_by_mmengine(source: str, map_location: str | torch.device) -> dict:
    try:
        checkpoint = CheckpointLoader.load_checkpoint(source, map_location)
    except UsageError:
        raise
    # Its loaders raise whatever their clients do, also that a client is not installed.
    except Exception as error:
        reason = str(error).strip().splitlines()
        reason = f': {reason[0]}' if reason else ''
        raise CheckpointError(f'{source} could not be read by mmengine ({type(error).__name__}{reason}).') from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'{source} holds a {type(checkpoint).__name__}, and no dict of weights.')
    check_harmless(checkpoint, source)
    return checkpoint


def _not_there(source: str) -> str:
    similar = difflib.get_close_matches(source, PUBLISHED, n=3)
    names = f'; published weights of a similar name are {", ".join(similar)}' if similar else ''
    return f'there is no checkpoint file {source}{names}.'


def _timm_address(name: str) -> str:
    # Imported here, so that a ConvNeXt does not import timm.
    from timm.models import get_pretrained_cfg

    try:
        cfg = get_pretrained_cfg(name)
    except RuntimeError:
        cfg = None
    if cfg and cfg.hf_hub_id:
        file = f'/{cfg.hf_hub_filename}' if cfg.hf_hub_filename else ''
        return f'{HUGGINGFACE_SCHEME}{cfg.hf_hub_id}{file}'
    if cfg and cfg.url and isinstance(cfg.url, str):
        return cfg.url
    raise CheckpointError(f'timm://{name}: this version of timm knows no weights of that name.')


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
