#!/bin/sh
# SFT against SFT and RL: reinforcement learning from the small model on, with two seeds; before and after are judged on
# the same 320 held-out tasks. The picture of the curves and its data go to docs/.
#
#   runs/rl.sh [FOLDER]      default: runs/out/rl
#
# It may be stopped at any time; the same command goes on. It runs at low priority on one thread.
set -eu
cd "$(dirname "$0")/.."
out=${1:-runs/out/rl}
export OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_TOP_PAD_=268435456
mkdir -p "$out"
for seed in 1 2; do
    { echo "folder = \"$out/seed$seed\""; echo "seed = $seed"; cat runs/rl.toml; } > "$out/seed$seed.toml"
    nice -n 19 .venv/bin/python -m moonlet train rl "$out/seed$seed.toml"
done
nice -n 19 .venv/bin/python -m bench.rl_unseen runs/rl.toml docs/rl-unseen.csv \
    sft=nano "seed 1=$out/seed1/model" "seed 2=$out/seed2/model"
.venv/bin/python -m bench.rl_curves docs/rl.svg "seed 1=$out/seed1" "seed 2=$out/seed2"
