#!/usr/bin/env bash
# Evaluate on a Slurm cluster.
# Usage: bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [test.py's arguments]
# GPUS (8) in all, GPUS_PER_NODE (8), CPUS_PER_TASK (5) and SRUN_ARGS come from the environment.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"

if [ $# -lt 4 ]; then
    echo "usage: bash $0 PARTITION JOB_NAME CONFIG CHECKPOINT [test.py's arguments]" >&2
    exit 2
fi
run_in_slurm "$1" "$2" "$tools/test.py" "$3" "$4" --launcher slurm "${@:5}"
