"""Kill trainings at random moments and resume them: what is lost, and what is left behind."""

import os
import sys
from pathlib import Path

# Before PyTorch is imported: a process that has threads cannot be forked safely.
os.environ['OMP_NUM_THREADS'] = '1'
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.stress.command import main

if __name__ == '__main__':
    main()
