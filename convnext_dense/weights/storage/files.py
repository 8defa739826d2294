"""Reads and writes checkpoint files, in PyTorch's format and in safetensors'."""

import json
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from convnext_dense.compat.checkpoint_content import MAX_SHARED, check_archive, check_content
from convnext_dense.compat.checkpoint_loading import allow_mmengine_globals
from convnext_dense.compat.memory_limit import memory_limit
from convnext_dense.errors import CheckpointError
from convnext_dense.regular_files import special_kind

SAFETENSORS = '.safetensors'
SUFFIXES = ('.pth', '.pt', SAFETENSORS)
# The part of `meta` that OpenMMLab's tools read: the dataset's classes and palette.
DATASET_META = 'dataset_meta'
# What a distilled backbone's `meta` says of its teacher.
DISTILLATION = 'distillation'
# The parts of `meta` that safetensors holds, as JSON.
JSON_META = (DATASET_META, DISTILLATION)
# What reading a file may take besides its own size: PyTorch's first use of some modules, and the pickle's text.
READING_BYTES = 64 * 2**20
# safetensors parses a header of up to 100 MB, which describes a million tensors. Those of a model have 100 bytes each.
MAX_HEADER = 4 * 2**20
# torch's loader does what the bytes say, so a damaged or foreign file can make it raise any of these.
DAMAGED = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    struct.error,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def read_file(path: str | Path, mmap: bool = True, map_location: str | torch.device = 'cpu') -> dict:
    """Return a checkpoint file's content. Objects other than weights are refused, so no code in the file runs.

    Args:
        path: A file of ``torch.save``, or one whose name ends in .safetensors.
        mmap: Whether to read the weights from the file only when they are used. The file must not change then.
        map_location: The device for the weights of PyTorch's files; `mmap` needs 'cpu'.

    Returns:
        What was saved; ``dict(state_dict=..., meta=...)`` for safetensors with one of `JSON_META`.

    Raises:
        CheckpointError: If the file does not exist, is no checkpoint, or claims more memory than its own size.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.NamedTemporaryFile(suffix='.pth') as file:
        ...     torch.save({'norm.bias': torch.ones(2)}, file.name)
        ...     read_file(file.name)
        {'norm.bias': tensor([1., 1.])}
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        if kind := special_kind(path):
            raise CheckpointError(f'the checkpoint {path} is {kind}, and no file.')
        raise CheckpointError(f'there is no checkpoint file {path}.')
    try:
        with open(path, 'rb') as file:
            start = file.read(8)
    except OSError as error:
        raise CheckpointError(f'the checkpoint {path} cannot be read: {error.strerror or error}.') from error
    if not start:
        raise CheckpointError(f'the checkpoint {path} is empty.')
    content = (
        _read_safetensors(path, header=int.from_bytes(start, 'little'))
        if path.suffix == SAFETENSORS
        else _read_torch(path, mmap, map_location, is_zip=start.startswith(b'PK'))
    )
    if not isinstance(content, dict):
        raise CheckpointError(f'the checkpoint {path} holds a {type(content).__name__}, and no dict of weights.')
    check_harmless(content, path, path.stat().st_size)
    return content


def write_file(path: str | Path, state_dict: Mapping[str, Tensor], meta: Mapping | None = None) -> None:
    """Write weights to a new file, whole or not at all.

    Args:
        path: The file, ending in .pth, .pt or .safetensors.
        state_dict: The weights.
        meta: The `meta` of an OpenMMLab checkpoint. Safetensors keeps only `JSON_META`.

    Raises:
        CheckpointError: If the file exists already, has another ending, or cannot be written.
    """
    path = Path(path)
    check_new_file(path)
    meta = meta or {}
    try:
        weights = _separate(state_dict)
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as folder:
            temporary = Path(folder) / path.name
            if path.suffix == SAFETENSORS:
                extra = {key: json.dumps(meta[key], default=list) for key in JSON_META if key in meta}
                save_file(weights, temporary, metadata={'format': 'pt', **extra})
            else:
                with temporary.open('wb') as file:
                    torch.save(dict(meta=dict(meta), state_dict=weights), file)
            # safetensors makes files that only their owner can read.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(path)
    except (OSError, RuntimeError, SafetensorError) as error:
        # PyTorch and safetensors have errors of their own for a full disk.
        cause = error.__context__ if isinstance(error.__context__, OSError) else error
        reason = getattr(cause, 'strerror', None) or str(error).splitlines()[0]
        raise CheckpointError(f'{path} cannot be written: {reason}.') from error


def check_harmless(content: dict, source: str | Path, size: int | None = None) -> None:
    """Raise CheckpointError if a checkpoint's content could exhaust or mislead whoever looks through it.

    Args:
        content: The checkpoint.
        source: Where it is from.
        size: The file's size in bytes, if known.
    """
    try:
        check_content(content, size)
    except DAMAGED as error:
        raise CheckpointError(f'the checkpoint {source} was not loaded: {error}.') from error


def check_new_file(path: Path) -> None:
    """Raise CheckpointError if `path` exists already, or if its ending names no format."""
    if path.exists():
        raise CheckpointError(f'{path} is there already; remove it first, or give another name.')
    check_ending(path)


def check_ending(path: Path) -> None:
    """Raise CheckpointError if a name's ending names no format, or safetensors cannot write the name."""
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f'{path}: the name of the output must end in one of {", ".join(SUFFIXES)}.')
    if path.suffix == SAFETENSORS and str(path).encode('utf-8', 'ignore') != os.fsencode(path):
        raise CheckpointError(f'{path}: the name of a safetensors file and of its folder must be UTF-8.')


def _separate(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return contiguous tensors that share no memory. Those that do not are copied; the others are not."""
    separate, seen = {}, set()
    for name, tensor in state_dict.items():
        storage = tensor.untyped_storage()
        is_whole = tensor.is_contiguous() and storage.nbytes() == tensor.numel() * tensor.element_size()
        separate[name] = tensor if is_whole and storage.data_ptr() not in seen else tensor.contiguous().clone()
        seen.add(storage.data_ptr())
    return separate


def _read_safetensors(path: Path, header: int) -> dict:
    if header > MAX_HEADER:
        raise CheckpointError(
            f'the checkpoint {path} is damaged, or no safetensors file: its header would have {header:,} bytes.'
        )
    try:
        with safe_open(path, framework='pt') as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            metadata = file.metadata() or {}
        meta = {key: json.loads(metadata[key]) for key in JSON_META if key in metadata}
    except (SafetensorError, *DAMAGED) as error:
        raise CheckpointError(f'the checkpoint {path} is damaged, or no safetensors file: {error}.') from error
    return dict(state_dict=weights, meta=meta) if meta else weights


def _is_whole_zip(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        # One that says to be a part of several.
        return False


def _read_torch(path: Path, mmap: bool, map_location: str | torch.device, is_zip: bool) -> object:
    whole = _is_whole_zip(path)
    # When another library's `safe_globals` ends, it removes our entries of the allow-list too.
    allow_mmengine_globals()
    limit = int(MAX_SHARED * path.stat().st_size) + READING_BYTES
    try:
        if is_zip or whole:
            check_archive(path)
        with memory_limit(limit) if str(map_location) == 'cpu' else nullcontext():
            return torch.load(path, map_location=map_location, weights_only=True, mmap=mmap and whole)
    except torch.OutOfMemoryError:
        raise
    except DAMAGED as error:
        if isinstance(error, MemoryError) or 'allocate memory' in str(error):
            raise CheckpointError(
                f'the checkpoint {path} was not loaded: reading it takes more memory than {MAX_SHARED} times its size.'
            ) from error
        # torch puts what our own functions say into a longer text.
        if isinstance(error, pickle.UnpicklingError) and (reason := re.search(r'\bit (has|holds) .*', str(error))):
            raise CheckpointError(f'the checkpoint {path} was not loaded: {reason[0]}.') from error
        refused = re.search(r"(?:GLOBAL|function|class) '?([\w.]+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and refused:
            raise CheckpointError(
                f'the checkpoint {path} holds more than weights, {refused[1]}, which could run code; it was not '
                'loaded. If you trust it, save its state_dict alone, and load that.'
            ) from error
        reason = 'cut short' if is_zip and not whole else "damaged, or not one of PyTorch's"
        raise CheckpointError(f'the checkpoint {path} is {reason} ({type(error).__name__} on reading it).') from error
