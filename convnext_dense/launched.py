"""What a process that a launcher started leaves behind when it fails, so that the launcher can say why."""

import json
import os
import time
from pathlib import Path

# Set by `convnext_dense.apis.launching.torchrun`, which prints what its processes leave.
LAUNCHED = 'CONVNEXT_DENSE_LAUNCHED'
# Set by torchrun for each of its processes: the file that it looks for when one fails.
ERROR_FILE = 'TORCHELASTIC_ERROR_FILE'


def leave_word(message: str, text: str) -> bool:
    """Write why this process fails to where torchrun looks for it.

    Args:
        message: Why, on one line.
        text: What torchrun shows: a traceback, or the same line.

    Returns:
        Whether the launcher prints it, so that this process need not.

    Example:
        >>> leave_word('it failed', 'it failed')
        False
    """
    file = os.environ.get(ERROR_FILE)
    if not file:
        return False
    now = time.time()
    extra = dict(py_callstack=text, timestamp=str(int(now)), moment=now)
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(json.dumps(dict(message=dict(message=message, extraInfo=extra))))
    except OSError:
        return False
    return LAUNCHED in os.environ
