#!/usr/bin/env bash
# Train on a Slurm cluster, and resume after each preemption or time limit.
# Usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [train.py's arguments]
# GPUS (8) in all, GPUS_PER_NODE (8), CPUS_PER_TASK (5), SIGNAL (USR1@120: what the training gets 120 seconds before the
# time limit) and SRUN_ARGS come from the environment. In a job of sbatch, the partition, the name and the signal are the
# job's, which is requeued:
#   sbatch -p gpu --gres=gpu:8 --ntasks-per-node=8 --signal=USR1@120 --requeue --open-mode=append \
#       --wrap 'bash tools/slurm_train.sh gpu NAME CONFIG WORK_DIR'
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"

if [ $# -lt 4 ]; then
    echo "usage: bash $0 PARTITION JOB_NAME CONFIG WORK_DIR [train.py's arguments]" >&2
    exit 2
fi
requeue_in_slurm "$1" "$2" "$tools/train.py" "$3" --work-dir "$4" --launcher slurm "${@:5}"
