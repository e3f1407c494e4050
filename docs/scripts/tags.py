#!/usr/bin/env python3
"""Measures the tags of `longclip tag` on images of known classes, against the five likeliest tags: the table in docs/tag.md.

    docs/scripts/tags.py --data nano-data --set cifar10 --binary target/release/longclip

A set is NAME.ndjson of nano's data (checkpoints/nano/README.md), whose records have `path` and `class`. Recall is the share
of images that get the tag of their class. Precision is the share of right ones among the tags that are classes of the set:
whether other tags are right is not known.
"""
import argparse
import json
import os
import subprocess
from pathlib import Path

SAME = {"automobile": "car"}
FIXED = ["--false-positives", "off", "--threshold", "1e-300", "--max-tags", "5"]


def tags(binary, folder, names, flags):
    command = [binary, "tag", "--files-from", "-", "--format", "ndjson", "--quiet", *flags]
    run = subprocess.run(command, cwd=folder, input="\n".join(names), text=True, stdout=subprocess.PIPE)
    records = [json.loads(line) for line in run.stdout.splitlines()]
    # Tags that are only there because they are above one have no logit.
    return [{label["label"] for label in record.get("labels", []) if label["logit"] is not None} for record in records]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", default="cifar10")
    parser.add_argument("--binary", type=Path, default=Path("target/release/longclip"))
    args = parser.parse_args()
    records = [json.loads(line) for line in (args.data / f"{args.set}.ndjson").read_text().splitlines()]
    classes = [SAME.get(record["class"], record["class"]) for record in records]
    print("| set | rule | tags per image | recall | precision |\n| --- | --- | ---: | ---: | ---: |")
    # A list on stdin is read once, so the folder of the images is named.
    folder = os.path.commonpath([args.data / record["path"] for record in records])
    calibrate = ["--calibrate", os.path.relpath(folder, args.data)]
    rules = {"default": calibrate, "`--false-positives 0.1%`": [*calibrate, "--false-positives", "0.1%"],
             "`--false-positives off`": ["--false-positives", "off"], "the five likeliest": FIXED}
    names = [record["path"] for record in records]
    for rule, flags in rules.items():
        found = tags(args.binary.resolve(), args.data, names, flags)
        known = set(classes)
        right = sum(of_class in tags for of_class, tags in zip(classes, found))
        named = sum(len(tags & known) for tags in found)
        per_image = sum(map(len, found)) / len(found)
        print(f"| {args.set} | {rule} | {per_image:.1f} | {right / len(found):.1%} | {right / max(1, named):.1%} |")


main()
