"""Count parameters and multiply-adds: ``convnext-dense flops``."""

import sys

from convnext_dense.cli.main import main

if __name__ == '__main__':
    main(['flops', *sys.argv[1:]])
