#!/usr/bin/env python3
"""Times `longclip classify` with one image and 1,000 labels in 80 templates: the first run, and later ones that use the cache.

    cargo build --release
    python3 benches/second_start.py --binary target/release/longclip --model nano

The first run encodes 80,000 prompts and stores the 1,000 averaged embeddings; later runs look them up. Uses the standard library only.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

ADJECTIVES = "red green blue old young small large wooden plastic broken wet striped round empty furry shiny dirty quiet wild plain".split()
NOUNS = """cat dog cup bird horse ship truck plane frog deer house tree flower road bridge river chair table lamp book
phone clock shoe hat coat ball kite boat train bus bottle knife spoon bowl cake apple lemon carrot mushroom leaf
stone beach hill cloud sun moon star child farmer clown""".split()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default="target/release/longclip")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    labels = [f"{adjective} {noun}" for adjective in ADJECTIVES for noun in NOUNS]
    assert len(set(labels)) == 1000, len(set(labels))
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "labels.txt")
        with open(file, "w") as out:
            out.write("\n".join(labels) + "\n")
        command = [arguments.binary, "classify", "img/cat.jpg", "--labels-file", file, "--templates", "imagenet80", "--model", arguments.model, "--top-k", "3", "-q"]
        environment = dict(os.environ, XDG_CACHE_HOME=os.path.join(folder, "cache"))

        def run():
            start = time.perf_counter()
            shown = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout
            return time.perf_counter() - start, shown

        first_s, first_shown = run()
        again = [run() for _ in range(arguments.rounds)]
        if any(shown != first_shown for _, shown in again):
            sys.exit("the output of a later run differs from the first")
        again_s = [seconds for seconds, _ in again]
        print(f"first {first_s:.2f} s, later {statistics.median(again_s):.3f} s (median of {len(again_s)}; minimum {min(again_s):.3f} s)")


if __name__ == "__main__":
    main()
