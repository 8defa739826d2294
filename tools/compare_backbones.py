"""Compare backbones by the identical recipe: ``convnext-dense compare``."""

import sys

from convnext_dense.cli.main import main

if __name__ == '__main__':
    main(['compare', *sys.argv[1:]])
