"""Downloads weights from the web and from Hugging Face, once, into PyTorch's and Hugging Face's caches."""

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import urlparse

import torch
from filelock import FileLock
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, LocalEntryNotFoundError
from safetensors import SafetensorError

from convnext_dense.errors import CheckpointError
from convnext_dense.weights.published import OPENMMLAB, PUBLISHED
from convnext_dense.weights.storage.files import DAMAGED, SAFETENSORS, check_harmless, read_file

# These publishers write the start of a file's SHA-256 into its name.
DIGEST = re.compile(r'-([0-9a-f]{8,})\.')
WITH_DIGESTS = (OPENMMLAB, 'https://download.pytorch.org/', 'https://github.com/')
# What Hugging Face's repositories call their weights; timm tries the safetensors form of each first.
HUB_FILES = ('pytorch_model.bin', 'open_clip_pytorch_model.bin')
# Processes of one machine that want the same file wait for the first to download it.
LOCK = '.lock'


def download(address: str) -> Path:
    """Return the cached file of an address; the first process that asks for it downloads it.

    Raises:
        CheckpointError: If it cannot be downloaded. The message says where to put the file instead.
    """
    file = cache_folder() / _cached_name(address)
    digest = DIGEST.search(file.name) if address.startswith(WITH_DIGESTS) else None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f'{file}{LOCK}'):
            if not file.is_file():
                torch.hub.download_url_to_file(address, str(file), digest and digest[1], progress=os.isatty(2))
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f'{address} could not be fetched ({error}); fetch it where there is a network, and put it at {file}, or '
            'give its path as the checkpoint.'
        ) from error
    return file


def read_hub(repository: str, filename: str = '') -> dict:
    """Return the weights of a Hugging Face repository, by timm's own code.

    Args:
        repository: ORG/NAME.
        filename: One of its files. Defaults to the usual names of weights.

    Raises:
        CheckpointError: If they cannot be downloaded (the message says where to put the file instead), or are no
            weights.
    """
    # Imported here, so that a ConvNeXt does not import timm.
    from timm.models import load_state_dict_from_hf

    name = '--'.join([*repository.split('/'), *filename.split('/')] if filename else repository.split('/'))
    copies = [cache_folder() / copy for copy in ([name] if filename else [f'{name}{SAFETENSORS}', f'{name}.bin'])]
    for copy in copies:
        if copy.is_file():
            return read_file(copy)
    problem = None
    for file in [filename] if filename else HUB_FILES:
        try:
            state_dict = load_state_dict_from_hf(repository, file, weights_only=True)
        except OSError as error:
            problem = error
            if not isinstance(error, EntryNotFoundError) or isinstance(error, LocalEntryNotFoundError):
                break
        except (SafetensorError, *DAMAGED) as error:
            raise CheckpointError(
                f'{file} of https://huggingface.co/{repository} is damaged, or holds more than weights, and was not '
                f'loaded ({type(error).__name__}).'
            ) from error
        else:
            check_harmless(state_dict, f'{file} of https://huggingface.co/{repository}')
            return dict(state_dict=state_dict)
    reason = 'no connection' if isinstance(problem, LocalEntryNotFoundError) else type(problem).__name__
    gated = ' Its license must be accepted there first, and `hf auth login` run here.'
    raise CheckpointError(
        f'the weights of {repository} could not be fetched from https://huggingface.co/{repository} ({reason}); fetch '
        f'its {filename or "model.safetensors or pytorch_model.bin"} where there is a network, and put it at '
        f'{" or ".join(map(str, copies))}, or give its path as the checkpoint.'
        f'{gated if isinstance(problem, GatedRepoError) else ""}'
    ) from problem


def cache_folder() -> Path:
    """Return the folder in which PyTorch keeps downloaded weights."""
    return Path(torch.hub.get_dir()) / 'checkpoints'


def _cached_name(address: str) -> str:
    """Return the address's file name, with a digest of the address if another one may have the same file name."""
    name = Path(urlparse(address).path).name
    if DIGEST.search(name) or any(address == published.address for published in PUBLISHED.values()):
        return name
    return f'{Path(name).stem}-{hashlib.sha256(address.encode()).hexdigest()[:8]}{Path(name).suffix}'
