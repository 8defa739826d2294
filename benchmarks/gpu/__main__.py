"""Runs the command, also as `python benchmarks/gpu`."""

import sys
from pathlib import Path

if not __package__:
    # Python put this folder there, whose modules are part of a package.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.gpu.command import main

if __name__ == '__main__':
    main()
