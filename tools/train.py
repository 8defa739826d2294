"""Train a detector or a segmenter: ``convnext-dense train``."""

import sys

from convnext_dense.cli.main import main

if __name__ == '__main__':
    main(['train', *sys.argv[1:]])
