#!/usr/bin/env python3
"""Measures nano as a person uses it: the pictures and labels go through `longclip classify`, the answers are counted.

    cargo build --release
    python3 checkpoints/nano/train/prepare.py --out nano-data      # see train/README.md; makes the same pictures each time
    python3 checkpoints/nano/evaluate.py --data nano-data --model nano --binary target/release/longclip

Standard library only; run from the root of the repository. Prints the tables of `checkpoints/nano/README.md`, without
--data only that of img/. None of these pictures was trained on.
"""
import argparse
import json
import os
import subprocess
import tempfile

CIFAR = "airplane automobile bird cat deer dog frog horse ship truck".split()
IMG = {"img/cat.jpg": "a cat", "img/coffee.jpg": "a cup of coffee", "img/astronaut.jpg": "an astronaut"}
IMG_LABELS = ["a cat", "a dog", "a cup of coffee", "an astronaut"]


def prompt(name):
    return "a photo of a " + ("car" if name == "automobile" else name)


def classify(arguments, pictures, labels):
    """For each picture, in order: its labels with their probabilities, the likeliest first."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(labels) + "\n")
        file.flush()
        command = [arguments.binary, "classify", *pictures, "--labels-file", file.name, "--model", arguments.model, "--format", "ndjson", "-q"]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    records = [json.loads(line) for line in lines]
    assert [r["path"] for r in records] == pictures, "a picture is missing or out of order"
    return [[(answer["label"], answer["probability"]) for answer in r["labels"]] for r in records]


def accuracy(arguments, records, names):
    pictures = [os.path.join(arguments.data, r["path"]) for r in records]
    answers = classify(arguments, pictures, [prompt(n) for n in names])
    firsts = [[label for label, _ in answer[:5]] for answer in answers]
    places = [first.index(prompt(r["class"])) if prompt(r["class"]) in first else 5 for first, r in zip(firsts, records)]
    share = lambda k: f"{100 * sum(p < k for p in places) / len(places):.1f} %"
    return share(1), share(5)


def records(arguments, split):
    with open(os.path.join(arguments.data, split + ".ndjson")) as lines:
        return [json.loads(line) for line in lines]


def print_sets(arguments):
    val = records(arguments, "val")
    sets = {
        "cifar10": [r for r in val if r["source"] == "cifar10"][:2000],
        "pictures": [r for r in val if r["source"] not in ("cifar10", "scenes")],
        "held-out": records(arguments, "held-out"),
    }
    print("| set | pictures | labels | top-1 | top-5 |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, rows in sets.items():
        names = CIFAR if name == "cifar10" else sorted({r["class"] for r in rows})
        first, five = accuracy(arguments, rows, names)
        print(f"| {name} | {len(rows):,} | {len(names)} | {first} | {five} |", flush=True)


def print_img(arguments):
    print("| picture |", " | ".join(IMG_LABELS), "|\n| ---", "| ---: " * len(IMG_LABELS) + "|")
    for picture, answer in zip(IMG, classify(arguments, list(IMG), IMG_LABELS)):
        chances = dict(answer)
        marked = lambda label: f"**{chances[label]:.2f}**" if label == answer[0][0] else f"{chances[label]:.2f}"
        print("|", picture, "|", " | ".join(marked(label) for label in IMG_LABELS), "|")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--binary", default="target/release/longclip")
    arguments.add_argument("--model", default="nano", help="as `longclip --model` takes it")
    arguments.add_argument("--data", help="the folder that prepare.py made")
    arguments = arguments.parse_args()
    if arguments.data:
        print_sets(arguments)
        print()
    print_img(arguments)


if __name__ == "__main__":
    main()
