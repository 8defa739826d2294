"""Write the demo dataset: ``convnext-dense demo --only-data``."""

import sys

from convnext_dense.cli.main import main

if __name__ == '__main__':
    main(['demo', '--only-data', *sys.argv[1:]])
