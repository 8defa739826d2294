"""Say what a checkpoint is: ``convnext-dense weights inspect``; with ``--names``: ``convnext-dense weights list``."""

import sys

from convnext_dense.cli.main import main

if __name__ == '__main__':
    arguments = sys.argv[1:]
    main(['weights', 'list'] if arguments == ['--names'] else ['weights', 'inspect', *arguments])
