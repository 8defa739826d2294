"""Notices that another process of a run stands still, which PyTorch does not say."""

import json
import os
import sys
import threading
import traceback
from datetime import timedelta

import torch.distributed
from torch.distributed import TCPStore

from convnext_dense.launched import leave_word

# How often a process gives a sign of life, in seconds, and at least so often within the time limit.
BEAT_SECONDS = 10.0
BEATS_IN_LIMIT = 10
# The parts of the time limit after which all processes say where they stand, and after which one that gives no sign of
# life is lost: before PyTorch ends those that wait for it, and names nobody.
STALLED = 0.8
SILENT = 0.9
NO_PLACE = '  nowhere known: it gives no sign of life, or has just made a step\n'


class Heartbeat(threading.Thread):
    """A thread by which the processes of a run watch each other.

    Each gives signs of life to a store that all reach, and looks for those of the next one. If these stay away for most
    of the time limit, because the process was stopped or its machine is lost, this process ends, and with it the job.
    If all live, and no step ends for most of the limit, the log says where each stands.

    The limit is counted in beats of this thread, so a job that is suspended as a whole goes on.

    Args:
        store: What all processes reach.
        rank: The number of this process.
        world_size: How many processes there are.
        limit: The time limit, in seconds.
    """

    def __init__(self, store: TCPStore, rank: int, world_size: int, limit: float) -> None:
        super().__init__(name='heartbeat', daemon=True)
        self.store, self.rank, self.world_size, self.limit = store, rank, world_size, limit
        self.seconds = min(BEAT_SECONDS, limit / BEATS_IN_LIMIT)
        # What this process has done; the training's own thread counts.
        self.steps = 0
        self._seen_steps = 0
        self._beats = self._beats_at_step = self._silent_beats = 0
        self._last_word: str | None = None
        self._has_reported = False
        self._ended = threading.Event()
        self._main = threading.main_thread().ident

    def end(self) -> None:
        """End the watch: this process is done, and the others need not wait for it."""
        self._ended.set()
        self.join(self.seconds)
        try:
            self._say(done=True)
        except RuntimeError:
            # The process that holds the store was done first.
            return

    def run(self) -> None:
        """Give signs of life, and look for the next process's."""
        self._beat()
        while not self._ended.wait(self.seconds):
            self._beats += 1
            self._beat()

    def _beat(self) -> None:
        if self.steps != self._seen_steps:
            self._seen_steps, self._beats_at_step, self._has_reported = self.steps, self._beats, False
        stalled = (self._beats - self._beats_at_step) * self.seconds
        try:
            self._say(place=self._place() if stalled >= self.limit / 2 else '')
            self._look_at_next()
            if stalled >= STALLED * self.limit and not self._has_reported and self.rank == 0:
                self._has_reported = True
                self._report(stalled)
        except RuntimeError:
            self._miss('the process that all others meet at, which is that of rank 0 or its launcher,')

    def _say(self, **word: object) -> None:
        word |= dict(beat=self._beats, pid=os.getpid(), host=os.uname().nodename)
        self.store.set(_key(self.rank), json.dumps(word))

    def _look_at_next(self) -> None:
        following = (self.rank + 1) % self.world_size
        # Reading waits for what is not there.
        word = self.store.get(_key(following)).decode() if self.store.check([_key(following)]) else None
        if word != self._last_word or (word and json.loads(word).get('done')):
            self._last_word, self._silent_beats = word, 0
            return
        where = ''
        if word:
            other = json.loads(word)
            where = f' (process {other["pid"]} on {other["host"]})'
        self._miss(f'rank {following}{where}')

    def _miss(self, who: str) -> None:
        self._silent_beats += 1
        seconds = self._silent_beats * self.seconds
        if seconds < SILENT * self.limit - self.seconds / 2 or self._ended.is_set():
            return
        message = (
            f'{who} has given no sign of life for {seconds:g} s: it was stopped, or cannot be reached. '
            'Resume goes on from the last checkpoint.'
        )
        if not leave_word(message, message):
            print(f'error: rank {self.rank}: {message}', file=sys.stderr, flush=True)
        # The main thread waits within PyTorch, and cannot be interrupted.
        os._exit(1)

    def _place(self) -> str:
        return ''.join(traceback.format_stack(sys._current_frames()[self._main]))

    def _report(self, seconds: float) -> None:
        """Print where the processes stand."""
        places: dict[str, list[int]] = {}
        for rank in range(self.world_size):
            word = json.loads(self.store.get(_key(rank))) if self.store.check([_key(rank)]) else {}
            places.setdefault(word.get('place') or NO_PLACE, []).append(rank)
        print(
            f'warning: no step has ended for {seconds:g} s; the processes wait for each other for {self.limit:g} s. '
            'Where they stand, those that differ from the others first:',
            file=sys.stderr,
        )
        for place, ranks in sorted(places.items(), key=lambda item: len(item[1])):
            print(f'rank {", ".join(map(str, ranks))}:\n{place}', file=sys.stderr, end='', flush=True)


def start_heartbeat(limit: float) -> Heartbeat | None:
    """Start the watch of this process; return None if it is the only one, or has no address to meet the others at.

    Args:
        limit: The time limit, in seconds.
    """
    host, port = os.environ.get('MASTER_ADDR'), os.environ.get('MASTER_PORT')
    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1 or not host or not port:
        return None
    # A connection of its own: PyTorch's waits for the other processes.
    store = TCPStore(host, int(port), is_master=False, wait_for_workers=False, timeout=timedelta(seconds=limit))
    heartbeat = Heartbeat(store, torch.distributed.get_rank(), torch.distributed.get_world_size(), limit)
    heartbeat.start()
    return heartbeat


def _key(rank: int) -> str:
    return f'convnext_dense/heartbeat/{rank}'
