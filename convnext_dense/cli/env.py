"""Print what a bug report needs: versions, devices, compilers."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no arguments."""


def run(args: argparse.Namespace) -> None:
    """Print it, a line each."""
    from convnext_dense.apis import describe_environment

    facts = describe_environment()
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        print(f'{name:{width}}{value}')
