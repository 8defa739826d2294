"""Runs commands in several processes of this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]


def run_in_processes(processes: int, folder: Path, commands: list[list], place: Path) -> None:
    """Run commands one after the other in as many processes, whose imports are made once.

    Args:
        processes: How many.
        folder: Where.
        commands: The arguments of each.
        place: A folder for the list of them.
    """
    file = place / 'commands.json'
    file.write_text(json.dumps([[str(argument) for argument in command] for command in commands]))
    launcher = ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={processes}']
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', *launcher, TESTS / 'helpers' / 'several' / 'run_commands.py', folder, file],
        env={**os.environ, 'PYTHONPATH': f'{TESTS.parent}{os.pathsep}{TESTS}', 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr[-9000:]
