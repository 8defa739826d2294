"""Write a checkpoint in another layout: ``convnext-dense weights convert``."""

import sys

from convnext_dense.cli.main import main

if __name__ == '__main__':
    main(['weights', 'convert', *sys.argv[1:]])
