"""Evaluate a checkpoint of a detector or a segmenter: ``convnext-dense test``."""

import sys

from convnext_dense.cli.main import main

if __name__ == '__main__':
    main(['test', *sys.argv[1:]])
