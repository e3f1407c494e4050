#!/usr/bin/env python3
"""Measures `--reject`: how often nano is wrong when it can answer "none of these", and chooses its margin.

    cargo build --release
    python3 checkpoints/nano/train/prepare.py --out nano-data      # makes the same images each time
    python3 docs/scripts/risk_coverage.py --data nano-data --binary target/release/longclip

Uses the standard library only; run it from the root of the repository. Each photo is asked about twice: once with its own
class among four labels, and once with four labels of other classes, so that none of them is right. The margin is chosen
on two of nano's validation sets, and reported on photos that had no part in any choice. Prints the tables of
`docs/scores.md`.
"""
import argparse
import json
import os
import random
import subprocess
import tempfile

N_LABELS = 4
NONE = "none of these"
MARGINS = [0.25 * k for k in range(-4, 25)]
# The default keeps at least this share of the right answers, in each validation set.
KEPT = 0.85
CIFAR = "airplane car bird cat deer dog frog horse ship truck".split()


def prompt(name):
    return "a photo of a " + name


def name_of(row):
    return "car" if row["class"] == "automobile" else row["class"]


def rows_of(data, split):
    with open(os.path.join(data, split + ".ndjson")) as lines:
        return [json.loads(line) for line in lines]


def questions(data, rows, names, repeats):
    """One record for `classify` per question, and the right answer to each: its label, or None."""
    rng = random.Random(1)
    records, truths = [], []
    for row in rows:
        own = name_of(row)
        others = [name for name in names if name != own]
        for _ in range(repeats):
            for truth in (own, None):
                wrong = rng.sample(others, N_LABELS - (truth is not None))
                labels = sorted(wrong + ([own] if truth else []))
                path = os.path.abspath(os.path.join(data, row["path"]))
                records.append({"path": path, "labels": [prompt(label) for label in labels]})
                truths.append(prompt(own) if truth else None)
    return records, truths


class Answer:
    """The answer to one question: whether the likeliest label is right, its softmax probability over the labels, and how many
    logits it is above the neutral prompts."""

    def __init__(self, record, truth):
        labels = [label for label in record["labels"] if label["label"] != NONE]
        none = next(label for label in record["labels"] if label["label"] == NONE)
        self.right = labels[0]["label"] == truth
        self.answerable = truth is not None
        self.margin = labels[0]["logit"] - none["logit"]
        self.softmax = labels[0]["probability"] / sum(label["probability"] for label in labels)


def ask(arguments, records, truths):
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as file:
        file.write("".join(json.dumps(record) + "\n" for record in records))
        file.flush()
        command = [arguments.binary, "classify", "--ndjson-from", file.name, "--model", arguments.model, "--reject=0", "--format", "ndjson", "-q"]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    assert len(lines) == len(records), "an answer is missing"
    return [Answer(json.loads(line), truth) for line, truth in zip(lines, truths)]


def sets_of(arguments):
    """Answers for the sets that the margin is chosen on, and for those that it is reported on."""
    rows = {split: rows_of(arguments.data, split) for split in ("val", "caltech-val", "pets-val", "held-out")}
    photos = [row for row in rows["val"] if row["source"] == "cifar10"]
    pictures = [row for row in rows["val"] if row["source"] not in ("cifar10", "scenes")]
    caltech = random.Random(1).sample(rows["caltech-val"], arguments.photos)
    # The first 2000 of CIFAR-10's test images are for validation.
    chosen_on = (("cifar10", photos[: arguments.photos], CIFAR, 1), ("pictures", pictures, None, 2))
    reported = (("cifar10, rest", photos[2000:][: arguments.photos], CIFAR, 1), ("caltech", caltech, None, 1),
                ("animals", rows["held-out"] + rows["pets-val"], None, 4))
    for which in (chosen_on, reported):
        yield {title: ask(arguments, *questions(arguments.data, some, names or sorted({name_of(row) for row in some}), repeats))
               for title, some, names, repeats in which}


def share(some, of):
    return sum(some) / max(1, len(of))


def kept(asked, margin):
    right = [a for a in asked if a.right]
    return share((a.margin >= margin for a in right), right)


def risk(asked):
    return share((not a.right for a in asked), asked)


def print_rule(title, asked, margin):
    rule = "always answer" if margin is None else f"`--reject={margin:g}`"
    answers = [a for a in asked if margin is None or a.margin >= margin]
    none = [a for a in asked if not a.answerable]
    refused = share((margin is not None and a.margin < margin for a in none), none)
    correct = share((a.right if margin is None or a.margin >= margin else not a.answerable for a in asked), asked)
    keeps = 1 if margin is None else kept(asked, margin)
    cells = [len(answers) / len(asked), risk(answers), keeps, refused, correct]
    print(f"| {title} | {rule} |", " | ".join(f"{100 * cell:.1f}%" for cell in cells), "|", flush=True)


def print_curve(title, asked):
    for coverage in (1, 0.8, 0.6, 0.4, 0.2):
        n = round(coverage * len(asked))
        first = lambda key: risk(sorted(asked, key=key, reverse=True)[:n])
        cells = [risk(asked), first(lambda a: a.softmax), first(lambda a: a.margin)]
        print(f"| {title} | {100 * coverage:.0f}% |", " | ".join(f"{100 * cell:.1f}%" for cell in cells), "|", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default="target/release/longclip")
    parser.add_argument("--model", default="nano", help="as `longclip --model` takes it")
    parser.add_argument("--data", required=True, help="the folder that prepare.py made")
    parser.add_argument("--photos", type=int, default=1000, help="number of photos of a set")
    arguments = parser.parse_args()
    chosen_on, reported = sets_of(arguments)
    margin = max((m for m in MARGINS if all(kept(asked, m) >= KEPT for asked in chosen_on.values())), default=MARGINS[0])
    print(f"The largest margin that keeps {100 * KEPT:.0f}% of the right answers in each set: {margin:g}\n")
    print("| set | rule | answered | wrong of these | right answers kept | none of these found | correct in all |\n| --- | --- |" + " ---: |" * 5)
    for title, asked in reported.items():
        for rule in (None, margin, margin + 1, margin + 2):
            print_rule(title, asked, rule)
    print("\n| set | answered | always, or by chance | by softmax | by margin |\n| --- | ---: |" + " ---: |" * 3)
    for title, asked in reported.items():
        print_curve(title, asked)


if __name__ == "__main__":
    main()
