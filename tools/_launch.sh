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
    exec "$python" -m convnext_dense.apis.torchrun \
        --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${PORT:-29500}" \
        --nproc_per_node="$processes" \
        "$@"
}

# launch_slurm PARTITION JOB_NAME SCRIPT [ARGUMENT ...]
launch_slurm() {
    local partition=$1 job_name=$2
    local gpus=${GPUS:-8}
    local gpus_per_node=${GPUS_PER_NODE:-8}
    if ((gpus < gpus_per_node)); then
        gpus_per_node=$gpus
    fi
    shift 2
    # SRUN_ARGS is split into words on purpose.
    # shellcheck disable=SC2086
    exec srun -p "$partition" \
        --job-name="$job_name" \
        --gres="gpu:$gpus_per_node" \
        --ntasks="$gpus" \
        --ntasks-per-node="$gpus_per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} \
        "$python" -u "$@"
}
