"""Print a script that completes commands, options and config names in a shell."""

import argparse

SHELLS = ('bash', 'zsh', 'tcsh')
# Completes a config: the names of ours, and files.
PREAMBLE = {
    'bash': """
_convnext_dense_configs() {{
  compgen -W "{names}" -- "$1"
  compgen -f -- "$1"
}}
""",
    'zsh': """
_convnext_dense_configs() {{
  compadd -- {names}
  _files
}}
""",
    'tcsh': '',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('shell', choices=SHELLS)


def run(args: argparse.Namespace) -> None:
    """Print the script."""
    import shtab

    from convnext_dense.cli.main import build_parser, subparsers
    from convnext_dense.config.find import our_configs

    parser = build_parser()
    for subparser in subparsers(parser):
        for action in subparser._actions:
            if action.dest == 'config':
                action.complete = dict(bash='_convnext_dense_configs', zsh='_convnext_dense_configs')
            elif action.dest in ('checkpoint', 'source', 'output', 'resume', 'file'):
                action.complete = shtab.FILE
            elif action.dest in ('work_dir', 'show_dir', 'out'):
                action.complete = shtab.DIRECTORY
    names = ' '.join(our_configs())
    print(shtab.complete(parser, shell=args.shell, preamble=PREAMBLE[args.shell].format(names=names)))
