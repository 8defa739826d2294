"""``python -m convnext_dense``: the console command."""

from convnext_dense.cli.main import main

if __name__ == '__main__':
    main()
