#!/usr/bin/env python3
"""What `--fast-decode` costs: how much probabilities change, and how often the likeliest label stays the same.

    cargo build --release
    python3 benches/fast_decode.py --labels labels.txt [--model nano] photos/ more.tar a.jpg ...
    python3 benches/fast_decode.py --labels labels.txt --enlarge 2 photos/     # with Pillow: enlarged copies of photos/*.jpg

Classifies the images with and without the flag, in f32. Only a JPEG that is at least four times as large as the model
reads it is reduced (short side 256 for nano, 896 for a model of 224), so images whose probabilities are all equal are
counted as unchanged, and the other figures are about the rest. nano's validation photos have a short side of 128, so
they must be enlarged. The lead is the probability of the first label without the flag, minus that of the label that
became first.
"""
import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

from number_types import compare


def probabilities(opt, flags):
    """For each image that could be read, the probabilities of the labels in one order."""
    command = [opt.binary, "classify", *opt.inputs, "--labels-file", opt.labels, "--model", opt.model, "--dtype", "f32", "--format", "ndjson", "-q"]
    said = subprocess.run(command + flags, stdout=subprocess.PIPE, text=True).stdout
    records = [record for record in map(json.loads, said.splitlines()) if "labels" in record]
    return {r["path"]: [p for _, p in sorted((a["label"], a["probability"]) for a in r["labels"])] for r in records}


def enlarged(folder, times, to):
    """Writes the JPEGs of a folder, this many times as large."""
    from PIL import Image

    for file in sorted(Path(folder).glob("*.jpg")):
        photo = Image.open(file).convert("RGB")
        photo.resize((photo.width * times, photo.height * times), Image.Resampling.BICUBIC).save(os.path.join(to, file.name), quality=90)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+")
    parser.add_argument("--labels", required=True)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--binary", default="target/release/longclip")
    parser.add_argument("--enlarge", type=int, metavar="N")
    opt = parser.parse_args()
    if not opt.enlarge:
        return measure(opt)
    with tempfile.TemporaryDirectory() as to:
        for folder in opt.inputs:
            enlarged(folder, opt.enlarge, to)
        opt.inputs = [to]
        measure(opt)


def measure(opt):
    whole, fast = probabilities(opt, []), probabilities(opt, ["--fast-decode"])
    assert whole and whole.keys() == fast.keys(), "the same images can be read"
    changed = [path for path in whole if whole[path] != fast[path]]
    print(f"{len(whole):,} images, {len(changed):,} of them changed")
    if changed:
        most, mean, same, lead = compare([whole[path] for path in changed], [fast[path] for path in changed])
        print("| model | images | labels | largest change of a probability | on average | same first label | largest lead overturned |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        print(f"| {opt.model} | {len(changed):,} | {len(whole[changed[0]])} | {most:.4f} | {mean:.5f} | {100 * same:.2f}% | {lead:.4f} |")


if __name__ == "__main__":
    main()
