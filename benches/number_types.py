#!/usr/bin/env python3
"""What bf16 and int8 cost: how much probabilities differ from f32, and how often the likeliest label stays the same.

    cargo build --release
    python3 checkpoints/nano/train/prepare.py --out nano-data       # images; see checkpoints/nano/train/README.md
    python3 benches/number_types.py --data nano-data nano [B.safetensors ...]

nano classifies all validation images of nano-data: those of CIFAR-10 by its ten names, and the others by all of their names.
Other models may have generated weights (peers/weights.py); they classify only the first hundred of the others, by CIFAR-10's
names. Validation images are not used for training.
"""
import argparse
import json
import os
import subprocess
import tempfile

CIFAR = "airplane car bird cat deer dog frog horse ship truck".split()


def probabilities(opt, model, dtype, images, labels):
    """For each image, the probabilities of the labels in the given order."""
    with tempfile.TemporaryDirectory() as folder:
        names, texts = os.path.join(folder, "images.txt"), os.path.join(folder, "labels.txt")
        for path, lines in ((names, images), (texts, labels)):
            with open(path, "w") as file:
                file.write("\n".join(lines) + "\n")
        command = [opt.binary, "classify", "--files-from", names, "--labels-file", texts, "--model", model, "--dtype", dtype, "--format", "ndjson", "-q"]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    out = []
    for line, image in zip(said.splitlines(), images, strict=True):
        record = json.loads(line)
        assert record["path"] == image
        of = {answer["label"]: answer["probability"] for answer in record["labels"]}
        out.append([of[label] for label in labels])
    return out


def compare(exact, other):
    moved = [abs(a - b) for x, y in zip(exact, other) for a, b in zip(x, y)]
    first = lambda row: max(range(len(row)), key=row.__getitem__)
    same = sum(first(x) == first(y) for x, y in zip(exact, other))
    # If f32 is undecided between two labels, another answer says little, so report the largest lead that was overturned.
    leads = [x[first(x)] - x[first(y)] for x, y in zip(exact, other)]
    return max(moved), sum(moved) / len(moved), same / len(exact), max(leads)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--binary", default="target/release/longclip")
    opt = parser.parse_args()
    with open(os.path.join(opt.data, "val.ndjson")) as lines:
        rows = [row for row in map(json.loads, lines) if row["source"] != "scenes"]
    paths = lambda rows: [os.path.join(opt.data, row["path"]) for row in rows]
    cifar, others = ([r for r in rows if (r["source"] == "cifar10") == is_cifar] for is_cifar in (True, False))
    prompt = lambda names: [f"a photo of a {name}" for name in names]
    names = sorted({row["class"] for row in others})
    print("| model | images | labels | type | largest change of a probability | on average | same first label | largest lead overturned |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for model in opt.models:
        sets = [(paths(cifar), prompt(CIFAR)), (paths(others), prompt(names))] if model == "nano" else [(paths(others[:100]), prompt(CIFAR))]
        for images, labels in sets:
            exact = probabilities(opt, model, "f32", images, labels)
            for dtype in ("bf16", "int8"):
                most, mean, same, lead = compare(exact, probabilities(opt, model, dtype, images, labels))
                name = os.path.basename(model)
                print(f"| {name} | {len(images):,} | {len(labels)} | {dtype} | {most:.4f} | {mean:.5f} | {100 * same:.2f}% | {lead:.4f} |", flush=True)


if __name__ == "__main__":
    main()
