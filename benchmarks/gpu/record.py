"""What was measured so far: files that are whole whenever this process, or the machine, is stopped."""

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.gpu.step import Step
from convnext_dense.datasets.formats.whole_files import write_whole
from convnext_dense.errors import UsageError

DONE, RUNNING = 'done', 'running'
# How much of its log a step that failed has among its figures.
LOG_LINES = 40


class Record:
    """The machine, and each step with its figures, in a JSON file that is written after each step.

    Args:
        folder: Where the files are.
        machine: What `benchmarks.gpu.machine` writes.
        rehearsal: Whether the figures mean nothing.
        resume: Whether to go on with the files that are there.

    Attributes:
        steps: By the name of a step, a dict: ``status``, ``command``, ``expected_minutes``; and if it has run,
            ``exit_code``, ``seconds``, ``figures`` as far as they came, and if it failed, the end of its ``log``.

    Raises:
        UsageError: If there are files, and `resume` is off; or they cannot be read.
    """

    def __init__(self, folder: Path, machine: dict, rehearsal: bool, resume: bool) -> None:
        self.name = 'rehearsal' if rehearsal else slug(machine['device'])
        self.file, self.page, self.log, self.running = (
            folder / f'{self.name}{suffix}' for suffix in ('.json', '.md', '.log', '.running.json')
        )
        self.machine, self.rehearsal = machine, rehearsal
        self.steps: dict[str, dict[str, Any]] = {}
        if self.file.exists():
            if not resume:
                raise UsageError(f'out: {self.file} is there; go on with it by --resume, or give another folder.')
            try:
                self.steps = json.loads(self.file.read_text())['steps']
            except (ValueError, KeyError) as error:
                raise UsageError(f'out: {self.file} cannot be read; move it away, or give another folder.') from error
            self._keep_interrupted()
        self.save()

    def is_done(self, step: Step) -> bool:
        """Return whether the step need not run again."""
        return self.steps.get(step.name, {}).get('status') == DONE

    def start(self, step: Step) -> int:
        """Note that a step runs, and return the length of the log before it."""
        self.running.unlink(missing_ok=True)
        self.set(step, status=RUNNING)
        with self.log.open('a') as log:
            log.write(f'\n==== {step.name}: {step.line}\n')
        return self.log.stat().st_size

    def set(self, step: Step, **facts: object) -> None:
        """Note something of a step, and write the file. Figures of an earlier try stay until there are new ones.

        Args:
            step: The step.
            **facts: Its ``status``, and what else there is.
        """
        entry = dict(claim=step.claim, command=step.line, expected_minutes=step.minutes)
        if 'figures' in self.steps.get(step.name, {}):
            entry['figures'] = self.steps[step.name]['figures']
        self.steps[step.name] = entry | facts
        self.save()

    def leave(self, step: Step, why: str) -> None:
        """Note why a step does not run, unless an earlier try measured something."""
        if 'figures' not in self.steps.get(step.name, {}):
            self.set(step, status=why)

    def figures(self) -> dict | None:
        """Return what the running step has written, or None."""
        try:
            return json.loads(self.running.read_text())
        except (OSError, ValueError):
            return None

    def log_end(self, start: int) -> list[str]:
        """Return the last lines of the log.

        Args:
            start: The length of the log before them.
        """
        with self.log.open('rb') as log:
            log.seek(start)
            return log.read().decode(errors='replace').splitlines()[-LOG_LINES:]

    def save(self) -> None:
        """Write the file."""
        content = dict(machine=self.machine, rehearsal=self.rehearsal, steps=self.steps)
        write_whole(self.file, json.dumps(content, indent=1) + '\n')

    def _keep_interrupted(self) -> None:
        """Keep what a step had written when the run before was killed."""
        for entry in self.steps.values():
            if entry['status'] == RUNNING:
                entry['status'] = 'interrupted'
                if figures := self.figures():
                    entry['figures'] = figures


def slug(device: str) -> str:
    """Return a device's name as that of a file.

    Example:
        >>> slug('NVIDIA H100 80GB HBM3')
        'nvidia-h100-80gb-hbm3'
    """
    return re.sub(r'[^a-z0-9]+', '-', device.lower()).strip('-')
