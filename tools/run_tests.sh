#!/usr/bin/env bash
# Install what the tests need, check style, imports and types, and run the fast tests and the docstrings' examples.
# Usage: bash tools/run_tests.sh [--all] [PYTEST_ARGUMENT ...]
# --all runs all tiers, and builds the docs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tier=()
extras=(tests)
if [ "${1:-}" = --all ]; then
    shift
    # An empty -m takes back the one in pyproject.toml.
    tier=(-m "")
    extras+=(docs)
fi
bash tools/setup_env.sh "${extras[@]}"
bin=${VENV:-.venv}/bin
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/codespell"
"$bin/lint-imports"
"$bin/pyrefly" check
if [ ${#tier[@]} -gt 0 ]; then
    "$bin/mkdocs" build --strict --quiet --site-dir "$(mktemp -d)"
fi
# pytest collects neither of two test files of one name, and says so only after an hour.
twice=$(find tests -name 'test_*.py' -printf '%f\n' | sort | uniq -d)
if [ -n "$twice" ]; then
    echo "Two test files have the name $twice; rename one." >&2
    exit 1
fi
# Two processes. The tests of a file share what they set up. A process that crashes is not replaced: pytest-xdist waits
# without end for the last tests of one that was.
"$bin/python" -m pytest -n 2 --dist loadfile --max-worker-restart 0 "${tier[@]}" "$@"
