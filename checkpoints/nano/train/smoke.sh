#!/usr/bin/env bash
# Runs the whole training of nano on a few hundred drawn images: all.sh from packages to a packed file that the program reads.
#
#   PYTHON=venv/bin/python ./smoke.sh LONGCLIP [FOLDER]
#
# LONGCLIP is the program; PYTHON has the packages of requirements.txt and teachers.txt. Nothing is downloaded. Takes a few minutes on
# two cores, and needs jq. Fails if a step fails, if a stopped training does not continue, if a loss does not fall, or if the program does not
# use the packed weights on all images.
set -euo pipefail
LONGCLIP=$(realpath "$1")
folder=$(realpath -m "${2:-$(mktemp -d)}")
PYTHON=$(realpath -s "${PYTHON:-python3}")
states=$folder/work
here=$(dirname "$(realpath "$0")")
failed() { echo "FAILED: $*; see $folder" >&2; exit 1; }

rm -rf "${folder:?}"/{cache,photos,data,work,nano.safetensors}
mkdir -p "$folder"
"$PYTHON" "$here/drawn.py" "$folder"
export LONGCLIP PYTHON PHOTOS=$folder/photos PREPARE='--small 50 --scenes 20000'
options=(5 "$folder" --thin 30 --steps 240 --batch 48 --log-every 1 --long-steps 12 --save-every 0 --rate 1e-3)

# Stop the first training when it has saved a state of the image tower. It has a process group of its own, so that all of it is stopped.
setsid "$here/all.sh" "${options[@]}" > "$folder/first.log" 2>&1 &
first=$!
until [ -e "$states/base-state.pt" ]; do
    kill -0 "$first" 2> /dev/null || { cat "$folder/first.log"; failed 'the training ended before it saved a state'; }
    sleep 0.2
done
kill -- -"$first"
wait "$first" || true
"$here/all.sh" "${options[@]}" > "$folder/second.log" 2>&1 || { cat "$folder/second.log"; failed 'the training did not continue'; }
grep -q '^continues after step' "$folder/second.log" || failed 'the training started again in place of continuing'

# Reads losses, one per line: the mean of the last N must be below that of the first N.
falls() {
    awk -v step="$1" -v n="$2" '
        { loss[NR] = $1 }
        END {
            if (NR < 2 * n) { print step ": only " NR " losses"; exit 1 }
            for (i = 1; i <= n; i++) { first += loss[i] / n; last += loss[NR - n + i] / n }
            printf "%s: mean loss of the first %d of %d steps %.3f, of the last %.3f\n", step, n, NR, first, last
            exit !(last < 0.97 * first)
        }' || failed "the loss of step $1 does not fall"
}
for step in words base image; do
    cat "$folder/first.log" "$folder/second.log" | sed -nE "s/^(.*% )?$step step [0-9]+ loss ([0-9.]+):.*/\2/p" | falls $step 30
done
jq 'select(.loss_long) | .loss_long + .loss_short' "$states/long/metrics.ndjson" | falls long 4

# So few steps teach nothing, but the program, as the last step of all.sh, must use the packed weights on all 200 drawn photos.
grep -q '^200 images, 10 classes;' "$folder/second.log" || failed 'the packed weights were not used on all images'
echo "passed; the results are in $folder"
