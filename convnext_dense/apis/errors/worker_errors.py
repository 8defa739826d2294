"""Says why a worker of a dataloader has ended, and what helps."""

import re

# PyTorch's words for what its reader finds.
KILLED = re.compile(r'DataLoader worker \(pid.*\) is killed by signal: ([\w ]+)')
EXITED = re.compile(r'DataLoader worker \(pid.*\) exited unexpectedly')
HINTS = {
    'Killed': 'mostly because the machine has run out of memory: take fewer workers (num_workers), or smaller images',
    'Bus error': 'mostly because /dev/shm is full: make it larger (docker run --shm-size), or take fewer workers '
    '(num_workers)',
    'Segmentation fault': 'by a crash of a library on one of its samples: num_workers=0 shows where',
}


def worker_sentence(error: BaseException) -> str:
    """Return what has happened to a worker if that is what an error says, else ''.

    Args:
        error: What PyTorch raised.

    Example:
        >>> worker_sentence(RuntimeError('DataLoader worker (pid 17) is killed by signal: Killed. '))[:58]
        'a worker of the dataloader was ended by a signal (Killed),'
    """
    text = f'{error} {error.__cause__}'
    remedy = 'What was saved before is kept; resume goes on from the last checkpoint.'
    if match := KILLED.search(text):
        name = match[1].strip()
        hint = HINTS.get(name)
        return f'a worker of the dataloader was ended by a signal ({name}){f", {hint}" if hint else ""}. {remedy}'
    return f'a worker of the dataloader has ended by itself. {remedy}' if EXITED.search(text) else ''
