"""Writes what the GPU, its driver and the packages are, in a process of its own, which frees the GPU when it ends."""

import shutil
import subprocess
import sys
import time

import torch

from benchmarks.cases import write_json
from benchmarks.gpu.step import ROOT
from benchmarks.measure import default_device, describe_machine
from convnext_dense.toolchain import COMPILERS, has_compiler, python_header

GIBIBYTE = 2**30


def main(file: str) -> None:
    """Write it as JSON.

    Args:
        file: The file.
    """
    device = default_device()
    names, _, variable = COMPILERS[device.type]
    facts = describe_machine(device)
    facts['type'] = device.type
    facts['date'] = time.strftime('%Y-%m-%d')
    # A copy of the files alone has no commit.
    git = shutil.which('git')
    words = [git or '', '-C', str(ROOT), 'describe', '--always', '--dirty']
    found = subprocess.run(words, capture_output=True, text=True).stdout if git else ''
    facts['commit'] = found.strip() or 'unknown'
    facts['compiler'] = has_compiler(names, variable) and python_header().is_file()
    if device.type == 'cuda':
        properties = torch.cuda.get_device_properties(device)
        facts['capability'] = f'{properties.major}.{properties.minor}'
        facts['memory_gib'] = round(properties.total_memory / GIBIBYTE, 1)
        facts['multiprocessors'] = properties.multi_processor_count
    write_json(file, facts)


if __name__ == '__main__':
    main(sys.argv[1])
