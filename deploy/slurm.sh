#!/bin/bash
# A sweep on the GPUs of several Slurm nodes: sbatch deploy/slurm.sh mnist
#
# Submit it again after the time limit (or requeue it) and the sweep continues, since the same name resumes. Slurm sends
# SIGTERM two minutes before the limit, so that trials save. --hours ends the training earlier, to leave time for scoring
# the best trials.
#SBATCH --job-name=iafsweep
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
set -euo pipefail

space="${1:?usage: sbatch deploy/slurm.sh SPACE}"
runs="${RUNS:-$PWD/runs}" # must be on a file system that all nodes share
name="$(basename "$space" .toml)"
python="$PWD/.venv/bin/python"
ray="$PWD/.venv/bin/ray"

# Token authentication, with a token for this job alone, in a file that only this user can read.
umask 077
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH="$runs/.ray-token-$SLURM_JOB_ID"
mkdir -p "$runs"
"$python" -c 'import secrets; print(secrets.token_hex(32), end="")' >"$RAY_AUTH_TOKEN_PATH"
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

head="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"
port=$((20000 + SLURM_JOB_ID % 20000))
srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap \
  "$ray" start --head --port="$port" --include-dashboard=false --block &
sleep 20
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
  srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" --overlap \
    "$ray" start --address="$head:$port" --block &
  sleep 20
fi

options=(--address "$head:$port" --hours 11.5)
if [ -e "$runs/$name/trials.jsonl" ]; then
  "$python" run_sweep.py resume "$runs/$name" "${options[@]}" &
else
  "$python" run_sweep.py launch "$space" --runs "$runs" --name "$name" "${options[@]}" &
fi
driver=$!
trap 'kill -TERM "$driver"' TERM # the batch shell gets the signal; the driver saves and exits
code=0
wait "$driver" || code=$?
wait "$driver" || code=$? # the signal ends the first wait; the driver's exit ends this one
exit "$code"
