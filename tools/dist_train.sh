#!/usr/bin/env bash
# Train with several processes, one a GPU (or, without GPUs, on the CPU).
# Usage: bash tools/dist_train.sh CONFIG PROCESSES [train.py's arguments]
# Signals are passed on; a training that they stop exits with 75, and --resume goes on.
# Several nodes, on each: NNODES=2 NODE_RANK=0 MASTER_ADDR=host0 bash tools/dist_train.sh CONFIG PROCESSES_PER_NODE
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"

if [ $# -lt 2 ]; then
    echo "usage: bash $0 CONFIG PROCESSES [train.py's arguments]" >&2
    exit 2
fi
launch_distributed "$2" "$tools/train.py" "$1" --launcher pytorch "${@:3}"
