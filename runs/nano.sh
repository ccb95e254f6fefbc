#!/bin/sh
# The small model from nothing: vocabulary, training, checkpoint in the public layout, model folder.
#
#   runs/nano.sh runs/out/nano [--data FOLDER_OF_PUBLIC_SETS] [--steps N] [--threads N]
#   runs/nano.sh runs/out/nano2 --start runs/out/nano/model [...]      goes on from a model folder, with fresh data
#
# From nothing a processor trains a smaller shape than the one that ships, in forty minutes of two cores (3,300 tokens a
# second); a machine with an NVIDIA GPU trains the one that ships, 5,000 steps (about eight minutes at the rate of one
# H200). It may be stopped at any time; the same command goes on. It runs at low priority, and its threads sleep while
# they wait for one another: spinning, two threads of which one has lost its core to another program come to a standstill.
set -eu
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0
# Blocks that a step frees are kept for the next one; giving them back to the system costs a tenth of the time.
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_TOP_PAD_=268435456
exec nice -n 19 .venv/bin/python -m moonlet.train.nano "$@"
