"""Keeps what datasets of mmdet's read: small ones for this process, large ones so that the next run maps it, too."""

import gc
import os
import pickle
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.registry import DefaultScope

from convnext_dense.datasets.cache.folder import alone, cache_folder, delete, delete_old, mark_used, unfinished_name
from convnext_dense.datasets.cache.keys import UnplainError, entry_name, large_stamp, stamp_of
from convnext_dense.datasets.coco_readers import coco_kind

if TYPE_CHECKING:
    from mmdet.datasets import CocoDataset

# What reads annotations. That of other packages may read other files, too, or change from run to run.
METHODS = (
    *('full_init', 'load_data_list', 'parse_data_info', 'filter_data'),
    *('_get_unserialized_subset', '_serialize_data', 'COCOAPI'),
)
PACKAGES = ('mmengine', 'mmdet', 'pycocotools', 'numpy')
# What a dataset has that does not follow from its annotations, or is kept in another form.
NOT_KEPT = ('pipeline', 'serialize_data', 'data_list', 'data_bytes', 'data_address')
SAMPLES, ENDS, ATTRIBUTES = 'samples', 'ends.npy', 'attributes'
# What small datasets read in this process. A run counts its steps, checks its length, and then trains.
_READ: dict[str, tuple[bytes, np.ndarray, np.ndarray]] = {}


@contextmanager
def remembered_datasets() -> Generator[None]:
    """Keep what datasets read when they are built in the block, and take it from where it was kept.

    What imports have made is hidden from the garbage collector meanwhile, which mmengine calls for each dataset. Kept
    are mmdet's datasets with a COCO file; of another class, other arguments, another file or another version, another
    is kept. A large one's samples are mapped from a file, so that all processes of a machine share them.

    Example:
        >>> with remembered_datasets():
        ...     dataset = DATASETS.build(cfg)  # doctest: +SKIP
    """
    scope = DefaultScope.get_current_instance()
    # A segmenter's run need not import mmdet.
    if scope is None or scope.scope_name != 'mmdet':
        with _without_older_objects():
            yield
        return
    from mmdet.datasets import BaseDetDataset

    read: Any = BaseDetDataset.full_init

    def full_init(self: 'CocoDataset') -> None:
        if not self._fully_initialized:
            _initialize(self, read)

    full_init.__module__ = read.__module__
    # Untyped: of those that it is called for, `_initialize` keeps only CocoDatasets.
    BaseDetDataset.full_init = full_init  # pyrefly: ignore[bad-assignment]
    try:
        with _without_older_objects():
            yield
    finally:
        BaseDetDataset.full_init = read


def _initialize(dataset: 'CocoDataset', read: Callable[['CocoDataset'], None]) -> None:
    file = Path(dataset.ann_file or '')
    stamp = stamp_of(file) if file.is_file() else None
    name = _entry_name(dataset, stamp) if stamp else None
    if name and not large_stamp(file):
        _read_once(dataset, read, name)
        return
    folder = cache_folder() if name else None
    if name is None or folder is None:
        read(dataset)
        return
    with alone(folder / f'{name}.lock'):
        if _restore(dataset, folder / name):
            return
        before = dict(vars(dataset))
        with _no_garbage_collection():
            dataset.serialize_data = False
            try:
                read(dataset)
            finally:
                dataset.serialize_data = True
            # A file that has changed while it was read may be half one and half the other.
            is_whole = bool(dataset.data_list) and stamp_of(file) == stamp
            if is_whole and _write(dataset, before, folder / name) and _restore(dataset, folder / name):
                dataset.data_list.clear()
            else:
                dataset.data_bytes, dataset.data_address = dataset._serialize_data()


def _read_once(dataset: 'CocoDataset', read: Callable[['CocoDataset'], None], name: str) -> None:
    if name in _READ:
        found, dataset.data_bytes, dataset.data_address = _READ[name]
        vars(dataset).update(pickle.loads(found))
        return
    before = dict(vars(dataset))
    read(dataset)
    with suppress(pickle.PicklingError, TypeError, AttributeError):
        _READ[name] = pickle.dumps(_set_by_reading(dataset, before)), dataset.data_bytes, dataset.data_address


def _set_by_reading(dataset: 'CocoDataset', before: dict) -> dict:
    """Return the attributes that reading has set, without the samples."""
    return {
        key: value
        for key, value in vars(dataset).items()
        if key not in NOT_KEPT and (key not in before or before[key] is not value)
    }


def _entry_name(dataset: 'CocoDataset', stamp: tuple) -> str | None:
    """Return the name of a dataset's entry, or None if it is not kept."""
    kind = type(dataset)
    if not coco_kind(kind) or not dataset.serialize_data or dataset.proposal_file or dataset.backend_args:
        return None
    if not {getattr(kind, name).__module__.partition('.')[0] for name in METHODS} <= set(PACKAGES):
        return None
    versions = {name: getattr(sys.modules.get(name), '__version__', '') for name in PACKAGES}
    state = {key: value for key, value in vars(dataset).items() if key not in NOT_KEPT}
    try:
        return entry_name('dataset', [kind.__module__, kind.__qualname__, kind.ANN_ID_UNIQUE, state, versions], stamp)
    except UnplainError:
        return None


def _write(dataset: 'CocoDataset', before: dict, path: Path) -> bool:
    """Write a dataset's samples and the attributes that reading has set; return whether all is written."""
    unfinished = unfinished_name(path)
    found = _set_by_reading(dataset, before)
    try:
        unfinished.mkdir()
        (unfinished / ATTRIBUTES).write_bytes(pickle.dumps(found))
        sizes = []
        with (unfinished / SAMPLES).open('wb') as file:
            for info in dataset.data_list:
                sizes.append(file.write(pickle.dumps(info, pickle.HIGHEST_PROTOCOL)))
            file.flush()
            # Its name must not be there before its content is, should the machine stop.
            os.fsync(file.fileno())
        np.save(unfinished / ENDS, np.cumsum(sizes, dtype=np.int64))
        # One that could not be read.
        delete(path)
        unfinished.rename(path)
    # A full disk, or an attribute that cannot be pickled.
    except (OSError, pickle.PicklingError, TypeError, AttributeError):
        delete(unfinished)
        return False
    delete_old(path.parent)
    return True


def _restore(dataset: 'CocoDataset', path: Path) -> bool:
    """Give a dataset what is kept at a path; return whether that could be read."""
    try:
        # No other user can write to the folder.
        found = pickle.loads((path / ATTRIBUTES).read_bytes())
        ends = np.load(path / ENDS)
        samples = np.memmap(path / SAMPLES, np.uint8, 'r')
        is_whole = len(ends) > 0 and len(samples) == ends[-1]
    # Nothing is there, or what is there is damaged.
    except Exception:  # noqa: BLE001 - whatever a damaged pickle raises
        return False
    if not is_whole:
        return False
    mark_used(path)
    vars(dataset).update(found)
    # Not as a memmap, each slice of which costs as much as a sample.
    dataset.data_bytes, dataset.data_address = samples.view(np.ndarray), ends
    return True


@contextmanager
def _without_older_objects() -> Generator[None]:
    """Keep the garbage collector from walking through what was made before the block."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _no_garbage_collection() -> Generator[None]:
    """Keep the collector from walking through the millions of objects of an annotation file, which hold no cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
