#!/usr/bin/env python3
"""Counts the instructions of the kernels' inner loops on 64-bit ARM, per product and sum of two numbers.

    rustup target add aarch64-unknown-linux-gnu; sudo apt install gcc-aarch64-linux-gnu g++-aarch64-linux-gnu
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc cargo build --release --target aarch64-unknown-linux-gnu
    benches/arm_instructions.py target/aarch64-unknown-linux-gnu/release/longclip

Time was not measured, because no ARM machine was available. A kernel's loop is known by the number of its products, those of a tile of
8 rows and 8 outputs.
"""

import collections
import itertools
import re
import subprocess
import sys

# What a loop computes, the instruction of its products, what that multiplies at once, and how often instructions occur.
LOOPS = [
    ("f32", "fmla", 4, {"fmla": 64, "shl": 0}),
    ("bf16 with NEON alone", "fmla", 4, {"fmla": 64, "shl": 4}),
    ("bf16 with FEAT_BF16", "bfmmla", 16, {"bfmmla": 32}),
    ("int8 with NEON alone", "smull", 8, {"smull": 128}),
    ("int8 with FEAT_DotProd", "sdot", 16, {"sdot": 64}),
    ("int8 with FEAT_I8MM", "smmla", 32, {"smmla": 32}),
]


def instructions(program):
    """Section and address, mnemonic, and operands of each instruction."""
    text = subprocess.run(["aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", program], check=True, capture_output=True, text=True)
    section = 0
    for line in text.stdout.splitlines():
        section += line.startswith("Disassembly of section")
        if match := re.match(r"\s+([0-9a-f]+):\t(\S+)\s*(.*)", line):
            yield (section, int(match[1], 16)), match[2], match[3]


def inner_loops(code):
    """Indexes of the first and last instruction of loops that contain no other loop."""
    index = {address: i for i, (address, _, _) in enumerate(code)}
    loops = []
    for i, (address, name, operands) in enumerate(code):
        if name != "b" and not name.startswith(("b.", "cb", "tb")):
            continue
        target = re.search(r"\b([0-9a-f]+) <", operands)
        start = index.get((address[0], int(target[1], 16))) if target else None
        if start is not None and i - 4096 < start <= i:
            loops.append((start, i))
    loops.sort(key=lambda loop: (loop[0], -loop[1]))
    for n, (start, end) in enumerate(loops):
        inside = itertools.takewhile(lambda other: other[0] <= end, loops[n + 1 :])
        if not any(other[1] <= end for other in inside):
            yield start, end


def main():
    code = list(instructions(sys.argv[1]))
    loops = [collections.Counter(name.rstrip("2") for _, name, _ in code[a : b + 1]) for a, b in inner_loops(code)]
    print("| number type | instruction | instructions in the loop | products and sums | instructions each |")
    print("| --- | --- | ---: | ---: | ---: |")
    for what, name, each, counts in LOOPS:
        sizes = [loop.total() for loop in loops if all(loop[name] == n for name, n in counts.items())]
        n, sums = min(sizes), counts[name] * each
        print(f"| {what} | `{name}` | {n} | {sums} | {n / sums:.3f} |")


if __name__ == "__main__":
    main()
