"""Measures what `--fit tiles` finds in panoramas that `--fit crop` does not see.

    python docs/scripts/tiles.py LONGCLIP PHOTOS.tar [--panoramas 100]        # about two minutes

Puts the centres of three photos of different classes side by side, and asks `longclip classify` which of all classes are in
the panorama. For each `--fit`, it prints how often the class of the middle photo, and of the outer ones, is among the three
likeliest, and the CPU time per panorama. PHOTOS.tar has KEY.jpg and KEY.json with its `class`. Needs Pillow.
"""

import argparse
import json
import random
import resource
import subprocess
import tarfile
import tempfile
from pathlib import Path

from PIL import Image, ImageOps

FITS = ["crop", "pad", "tiles", "tiles-mean"]


def photos(path):
    with tarfile.open(path) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
    for name in sorted(files):
        if name.endswith(".jpg"):
            yield name, files[name], json.loads(files[name[:-4] + ".json"])["class"]


def panorama(three, side):
    wide = Image.new("RGB", (3 * side, side))
    for i, file in enumerate(three):
        wide.paste(ImageOps.fit(Image.open(file).convert("RGB"), (side, side)), (i * side, 0))
    return wide


def cpu_s():
    """CPU seconds of the programs that were run."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longclip", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--panoramas", type=int, default=100)
    parser.add_argument("--side", type=int, default=128)
    args = parser.parse_args()
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        known = []
        for name, data, of_class in photos(args.photos):
            (folder / name).write_bytes(data)
            known.append((folder / name, of_class))
        classes = sorted({of_class for _, of_class in known})
        (folder / "labels.txt").write_text("\n".join(classes) + "\n")
        (folder / "wide").mkdir()
        truths = []
        for i in range(args.panoramas):
            three = chance.sample(known, 3)
            while len({of_class for _, of_class in three}) < 3:
                three = chance.sample(known, 3)
            panorama([file for file, _ in three], args.side).save(folder / "wide" / f"{i:05}.png")
            truths.append([of_class for _, of_class in three])
        print("| `--fit` | middle | outer | CPU ms |\n| --- | ---: | ---: | ---: |")
        for fit in FITS:
            command = [args.longclip.resolve(), "classify", "wide", "--labels-file", "labels.txt", "--model", "nano",
                       "--fit", fit, "--top-k", "3", "--format", "ndjson", "--quiet"]
            before = cpu_s()
            run = subprocess.run(command, cwd=folder, text=True, check=True, stdout=subprocess.PIPE)
            ms = 1000 * (cpu_s() - before) / args.panoramas
            found = [{label["label"] for label in json.loads(line)["labels"]} for line in run.stdout.splitlines()]
            middle = sum(truth[1] in names for truth, names in zip(truths, found)) / len(truths)
            outer = sum((truth[0] in names) + (truth[2] in names) for truth, names in zip(truths, found)) / (2 * len(truths))
            print(f"| `{fit}` | {middle:.0%} | {outer:.0%} | {ms:.1f} |", flush=True)


main()
