#!/usr/bin/env bash
# Runs the whole training of nano on a small part of the data, from packages to a packed file that the program reads.
#
#   PYTHON=venv/bin/python ./smoke.sh LONGCLIP [FOLDER]
#
# LONGCLIP is the program. Downloads about 180 MB into FOLDER/cache (by default in a new temporary folder) unless they are there.
# Takes a few minutes on two cores. The weights know nothing: this shows that each step runs, and that a stopped training continues.
set -euo pipefail
longclip=$(realpath "$1")
folder=${2:-$(mktemp -d)}
python=$(realpath -s "${PYTHON:-python3}")
here=$(dirname "$(realpath "$0")")
photos=${PHOTOS:+--photos $(realpath "$PHOTOS")}
mkdir -p "$folder"
cd "$folder"
rm -rf data work nano.safetensors

"$python" "$here/prepare.py" --out data --cache cache --scenes 20000 --every 100 $photos

train() {
    "$python" "$here/train.py" --data data --cache cache --work work --out nano.safetensors --longclip "$longclip" --thin 100 \
        --threads 1 --steps 8 --long-steps 2 --save-every 0 2>&1
}
# Stop the first training when it has saved a state, and continue it.
train > first.log &
until [ -e work/base-state.pt ]; do
    kill -0 $! 2>/dev/null || { cat first.log; echo "FAILED: the training ended before it saved a state"; exit 1; }
    sleep 0.2
done
pkill -P $! || true
wait $! || true
train > second.log || { cat second.log; exit 1; }
grep -q "^continues after step" second.log || { cat second.log; echo "FAILED: the training started again"; exit 1; }

grep '"source": "cifar10"' data/val.ndjson > data/cifar10.ndjson
"$longclip" eval zeroshot --model nano.safetensors --data data/cifar10.ndjson --labels-file "$here/../cifar10.json"
echo "passed; the results are in $folder"
