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

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ] && ! fits "$PYTHON"; then
        echo "error: PYTHON=$PYTHON is no Python 3.10 to 3.13" >&2
        exit 2
    fi
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.12 python3.11 python3.13 python3.10; do
        if fits "$candidate"; then
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
    # Debian's python3 has no ensurepip unless python3-venv is installed, and then leaves half of a .venv.
    "$python" -m venv "$venv" || { rm -rf "$venv" && [ -n "$uv" ] && "$uv" venv --seed --python "$python" "$venv"; } || {
        rm -rf "$venv"
        echo "error: could not make $venv; on Debian and Ubuntu, install python3-venv" >&2
        exit 2
    }
fi
if [ -z "$uv" ] && "$venv/bin/python" -m pip install --quiet uv; then
    uv="$venv/bin/uv"
fi
# Compiled once, as pip does: where Python may not write bytecode, each process would compile all that it imports.
# pip knows mirrors that uv does not.
{ [ -n "$uv" ] && "$uv" pip install --compile-bytecode --python "$venv/bin/python" -c constraints.txt -e "$target"; } ||
    "$venv/bin/python" -m pip install -c constraints.txt -e "$target"
echo "$target $requirements" >> "$stamp"
