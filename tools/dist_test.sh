#!/usr/bin/env bash
# Evaluate with several processes, one a GPU (or, without GPUs, on the CPU).
# Usage: bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [test.py's arguments]
# Several nodes, on each: NNODES=2 NODE_RANK=0 MASTER_ADDR=host0 bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES_PER_NODE
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"

if [ $# -lt 3 ]; then
    echo "usage: bash $0 CONFIG CHECKPOINT PROCESSES [test.py's arguments]" >&2
    exit 2
fi
launch_distributed "$3" "$tools/test.py" "$1" "$2" --launcher pytorch "${@:4}"
