#!/bin/sh
# SFT against SFT and RL: reinforcement learning from the small model on, with two seeds; before and after are judged on
# the same 320 held-out tasks. The picture of the curves goes to docs/.
#
#   runs/rl.sh [FOLDER]      default: runs/out/rl
#
# It may be stopped at any time; the same command goes on. It runs at low priority on one thread.
set -eu
cd "$(dirname "$0")/.."
out=${1:-runs/out/rl}
export OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_TOP_PAD_=268435456
list() { sed -n "s/^$1 = \\[\\(.*\\)\\]/\\1/p" runs/rl.toml | tr -d '" '; }
judge() { # MODEL RESULT
    [ -e "$2" ] || { nice -n 19 .venv/bin/python -m moonlet simulate "$1" -n 320 --seed 2026 --domains "$(list domains)" \
        --kinds "$(list kinds)" --languages en --workers 16 \
        --threads 1 --json > "$2.part" && mv "$2.part" "$2"; }
}
mkdir -p "$out"
judge nano "$out/sft.json"
for seed in 1 2; do
    { echo "folder = \"$out/seed$seed\""; echo "seed = $seed"; cat runs/rl.toml; } > "$out/seed$seed.toml"
    nice -n 19 .venv/bin/python -m moonlet train rl "$out/seed$seed.toml"
    judge "$out/seed$seed/model" "$out/rl$seed.json"
done
.venv/bin/python -m bench.rl_curves docs/rl.svg "seed 1=$out/seed1" "seed 2=$out/seed2"
