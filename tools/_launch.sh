# What the dist_*.sh and slurm_*.sh scripts share; sourced by them.

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The active environment if the package is in it, else the one that setup_env.sh made.
python=python
if ! python -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("convnext_dense"))' 2>/dev/null &&
    [ -x "$tools/../.venv/bin/python" ]; then
    python=$tools/../.venv/bin/python
fi

# A wrong name of a config is one line, not one of each process and the launcher's own.
check_config() {
    "$python" -c '
import sys
from convnext_dense.config.find import find_config
from convnext_dense.errors import exit_on_usage_error
with exit_on_usage_error():
    find_config(sys.argv[1])' "$1"
}

# launch_distributed PROCESSES SCRIPT CONFIG [ARGUMENT ...]
launch_distributed() {
    local processes=$1
    shift
    if ! [[ $processes =~ ^[1-9][0-9]*$ ]]; then
        echo "error: the number of processes must be a positive integer; got '$processes'" >&2
        exit 2
    fi
    check_config "$2"
    exec "$python" -m convnext_dense.apis.launching.torchrun \
        --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${PORT:-29500}" \
        --nproc_per_node="$processes" \
        "$@"
}

# The exit code of a training that a signal has stopped: `STOPPED` of convnext_dense/cli/main.py.
stopped=75

# run_in_slurm PARTITION JOB_NAME SCRIPT [ARGUMENT ...]
run_in_slurm() {
    local partition=$1 job_name=$2
    local gpus=${GPUS:-8}
    local gpus_per_node=${GPUS_PER_NODE:-8}
    if ((gpus < gpus_per_node)); then
        gpus_per_node=$gpus
    fi
    shift 2
    # In an allocation, sbatch has chosen them.
    local job=()
    if [ -z "${SLURM_JOB_ID:-}" ]; then
        job=(-p "$partition" --job-name="$job_name" --signal="${SIGNAL:-USR1@120}")
    fi
    # SRUN_ARGS is split into words on purpose.
    # shellcheck disable=SC2086
    srun ${job[@]+"${job[@]}"} \
        --gres="gpu:$gpus_per_node" \
        --ntasks="$gpus" \
        --ntasks-per-node="$gpus_per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} \
        "$python" -u "$@"
}

# requeue_in_slurm PARTITION JOB_NAME SCRIPT [ARGUMENT ...]
# As run_in_slurm, and goes on by --resume when the training was stopped by a signal: in a job of sbatch by requeueing
# the job, else by asking for another allocation, unless this script got the signal.
requeue_in_slurm() {
    local resume=() asked='' status
    trap 'asked=1' INT TERM
    if ((${SLURM_RESTART_COUNT:-0} > 0)); then
        resume=(--resume)
    fi
    while :; do
        status=0
        # Of processes that were stopped, the first one to exit must not end the others.
        SRUN_ARGS="--kill-on-bad-exit=0 --wait=60 ${SRUN_ARGS:-}" \
            run_in_slurm "$@" ${resume[@]+"${resume[@]}"} || status=$?
        if ((status == stopped)) && [ -n "${SLURM_JOB_ID:-}" ]; then
            echo "stopped: job $SLURM_JOB_ID is queued again" >&2
            # The job ends by it.
            scontrol requeue "$SLURM_JOB_ID"
        fi
        if ((status != stopped)) || [ -n "${SLURM_JOB_ID:-}$asked" ]; then
            exit "$status"
        fi
        echo 'stopped: waiting for another allocation, to resume' >&2
        resume=(--resume)
    done
}
