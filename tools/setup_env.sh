#!/usr/bin/env bash
# Create .venv and install the package into it, with uv where it can be had and pip where not.
# Usage: bash tools/setup_env.sh [EXTRA ...]     an EXTRA is one of setup.cfg's, such as tests
# PYTHON chooses the interpreter, VENV the folder. A finished .venv is used as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=${VENV:-.venv}
extras=$(IFS=,; echo "$*")
target=".${extras:+[$extras]}"
# Each line: what was installed, and the checksum of the requirements it was installed by.
stamp="$venv/.installed"
requirements=$(cat setup.cfg constraints.txt pyproject.toml | cksum)
if [ -f "$stamp" ] && grep -qF -- "${extras:+$target }$requirements" "$stamp"; then
    exit 0
fi

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.12 python3.11 python3.13 python3.10; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            # The interpreter itself: a shim may answer differently in another folder.
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    echo "error: no Python 3.10 to 3.13 found; install one, or name it: PYTHON=/path/to/python3 bash $0" >&2
    exit 2
}

python=$(find_python)
uv=$(command -v uv || true)
if [ ! -x "$venv/bin/python" ]; then
    if [ -n "$uv" ]; then
        "$uv" venv --quiet --python "$python" "$venv"
    else
        "$python" -m venv "$venv"
    fi
fi
if [ -z "$uv" ] && "$venv/bin/python" -m pip install --quiet uv; then
    uv="$venv/bin/uv"
fi
if [ -n "$uv" ]; then
    "$uv" pip install --python "$venv/bin/python" -c constraints.txt -e "$target"
else
    "$venv/bin/python" -m pip install -c constraints.txt -e "$target"
fi
echo "$target $requirements" >> "$stamp"
