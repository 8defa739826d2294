"""Run tests in stacks, record the results, and write the docs' page."""

import argparse
import json
import shutil
from pathlib import Path

from stacks.page import PAGE, RESULTS, page, read_results
from stacks.running import run_again, run_stack
from stacks.table import STACKS


def main() -> None:
    """Run the command."""
    names = [stack.name for stack in STACKS]
    parser = argparse.ArgumentParser(prog='python -m stacks', description=__doc__)
    parser.add_argument('stacks', nargs='*', choices=[[], *names], metavar='STACK', help=f'of {", ".join(names)}')
    parser.add_argument('--folder', type=Path, required=True, help='where environments are made; 6 GB each with CUDA')
    parser.add_argument('--again', action='store_true', help='run tests that failed, and record what they do now')
    parser.add_argument('--tests', nargs=argparse.REMAINDER, default=[], help="pytest's arguments; last, the fast tier")
    args = parser.parse_args()
    if not shutil.which('uv'):
        parser.error('uv is not installed: pip install uv.')
    for stack in STACKS:
        if not args.stacks or stack.name in args.stacks:
            folder = args.folder.resolve()
            if args.again:
                record = read_results().get(stack.name, {})
                if 'failed' not in record:
                    parser.error(f'{stack.name} has no record of tests; run it without --again.')
                record = run_again(stack, folder, args.tests, record)
            else:
                record = run_stack(stack, folder, args.tests)
            print(f'{stack.name}: {record}')
            RESULTS.write_text(json.dumps({**read_results(), stack.name: record}, indent=2) + '\n')
            PAGE.write_text(page(read_results()))


if __name__ == '__main__':
    main()
