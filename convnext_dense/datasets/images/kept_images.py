"""Images in memory or on disk, once for all processes that a process forks."""

import mmap
import os
import re
import shutil
import tempfile
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
from mmengine.logging import print_log

from convnext_dense.datasets.cache.folder import cache_folder
from convnext_dense.errors import UsageError

PLACES = ('ram', 'disk')
# The part of what is free at the start that images may take.
PART = dict(ram=0.5, disk=0.8)
# Entries are virtual memory until they are written.
MOST_IMAGES = 2**22
# What this process's container may take.
GROUP = Path('/sys/fs/cgroup')
DTYPES = (np.uint8, np.uint16, np.float32)
# Where an image begins, counted from 1 (0: it is not kept); its shape; its dtype; which file it is from.
ENTRY = np.dtype([('start', np.int64), ('shape', np.int32, 3), ('dtype', np.int32), ('source', np.int64)])


class Room:
    """Bytes that processes share, which the system frees when the last of them ends, in whatever way.

    Args:
        place: 'ram' or 'disk'.
        size: How many bytes there are at most. Defaults to a part of what is free.

    Raises:
        UsageError: If this system has no such place.
    """

    def __init__(self, place: str, size: int | None = None) -> None:
        self.place = place
        self.fd = _open(place)
        self.size = _part_of_free(place) if size is None else size
        self.lock = get_context('fork').Lock()
        self.taken = get_context('fork').Value('q', 0, lock=False)
        self.is_full = get_context('fork').Value('b', 0, lock=False)

    def __del__(self) -> None:
        """Give the bytes back, once no process has them open."""
        if hasattr(self, 'fd'):
            os.close(self.fd)

    def take(self, count: int) -> int | None:
        """Return where there is place for so many bytes, or None; the first time that there is none is said."""
        with self.lock:
            start = self.taken.value
            if start + count <= self.size and not self.is_full.value:
                self.taken.value += count
                return start
            if not self.is_full.value:
                self.is_full.value = 1
                print_log(
                    f'cache: {self.place} holds {start / 1e9:.1f} GB of images and has no more place; the others are '
                    'read from their files each time.',
                    logger='current',
                )
        return None


# That of each place, while datasets use it.
_ROOMS: WeakValueDictionary[str, Room] = WeakValueDictionary()


class KeptImages:
    """The images of one dataset, by their index in it.

    Args:
        place: 'ram' or 'disk'.
        room: The bytes to take. Defaults to those that all datasets of this process share.

    Example:
        >>> kept = KeptImages('disk', Room('disk', size=1000))
        >>> kept.put(3, 'a.png', np.ones((2, 2, 3), np.uint8))
        >>> kept.get(3, 'a.png').shape, kept.get(3, 'b.png')
        ((2, 2, 3), None)
    """

    def __init__(self, place: str, room: Room | None = None) -> None:
        self.room = room or _ROOMS.get(place) or Room(place)
        if room is None:
            _ROOMS[place] = self.room
        self.entries = np.frombuffer(mmap.mmap(-1, MOST_IMAGES * ENTRY.itemsize), ENTRY)

    def __deepcopy__(self, memo: dict) -> 'KeptImages':
        """Return the same images: a copy of a dataset has them, too."""
        return self

    def get(self, index: int, source: str) -> np.ndarray | None:
        """Return a copy of an image, or None if it is not kept.

        Args:
            index: Its index in the dataset.
            source: The file that it was read from.
        """
        if index >= len(self.entries):
            return None
        with self.room.lock:
            entry = self.entries[index].copy()
        if not entry['start'] or entry['source'] != hash(source):
            return None
        height, width, channels = entry['shape']
        image = np.empty((height, width, channels) if channels else (height, width), DTYPES[entry['dtype']])
        _read(self.room.fd, image, int(entry['start']) - 1)
        return image

    def put(self, index: int, source: str, image: np.ndarray) -> None:
        """Keep an image, if there is place for it.

        Args:
            index: Its index in the dataset.
            source: The file that it was read from.
            image: (H, W) or (H, W, C).
        """
        if index >= len(self.entries) or image.dtype not in DTYPES:
            return
        start = self.room.take(image.nbytes)
        if start is None:
            return
        try:
            _write(self.room.fd, image, start)
        except OSError:
            # Others have taken the place meanwhile.
            self.room.is_full.value = 1
            return
        shape = (*image.shape, 0)[:3]
        with self.room.lock:
            self.entries[index] = (start + 1, shape, DTYPES.index(image.dtype), hash(source))


def check_place(place: str) -> None:
    """Raise UsageError if images cannot be kept in this place on this system."""
    os.close(_open(place))


def _open(place: str) -> int:
    """Return a descriptor of a file without a name."""
    if place == 'ram':
        if not hasattr(os, 'memfd_create'):
            raise UsageError('cache: ram needs Linux.')
        return os.memfd_create('convnext_dense_images')
    folder = cache_folder('images', 'images cannot be kept there')
    if folder is None or not hasattr(os, 'preadv'):
        raise UsageError('cache: this user has no folder for it; set CONVNEXT_DENSE_CACHE to one.')
    fd, name = tempfile.mkstemp(dir=folder)
    Path(name).unlink()
    return fd


def _part_of_free(place: str) -> int:
    processes = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    free = _free_memory() if place == 'ram' else shutil.disk_usage(str(cache_folder('images'))).free
    return int(PART[place] * free / processes)


def _free_memory() -> int:
    free = int(re.search(r'MemAvailable: *(\d+) kB', Path('/proc/meminfo').read_text())[1]) * 1024
    # Outside of a container, there is no such file, or it says `max`.
    with suppress(OSError, ValueError):
        free = min(free, int((GROUP / 'memory.max').read_text()) - int((GROUP / 'memory.current').read_text()))
    return max(free, 0)


def _read(fd: int, image: np.ndarray, start: int) -> None:
    rest = image.data.cast('B')
    while rest:
        count = os.preadv(fd, [rest], start)
        if not count:
            raise OSError('an image that was kept is cut off')
        rest, start = rest[count:], start + count


def _write(fd: int, image: np.ndarray, start: int) -> None:
    rest = np.ascontiguousarray(image).data.cast('B')
    while rest:
        count = os.pwrite(fd, rest, start)
        rest, start = rest[count:], start + count
