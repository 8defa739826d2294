"""Run several commands, one after the other, in this process, which is one of a launcher's.

It takes the folder to run them in, and a JSON file with the arguments of each.
"""

import json
import sys
from pathlib import Path

import convnext_dense  # noqa: F401 - registers everything
from helpers.commands import run_command

if __name__ == '__main__':
    for arguments in json.loads(Path(sys.argv[2]).read_text()):
        result = run_command(Path(sys.argv[1]), *arguments, '--launcher', 'pytorch')
        if result.status:
            sys.exit(result.err)
