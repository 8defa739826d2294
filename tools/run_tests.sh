#!/usr/bin/env bash
# Install what the tests need, check the style, and run the tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash tools/setup_env.sh tests
venv=${VENV:-.venv}
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
# Two processes; a file's tests share what they set up.
"$venv/bin/python" -m pytest -n 2 --dist loadfile "$@"
