"""Compares the image encoder of two builds, in turn, so that a busy machine affects both.

    python benches/builds.py BEFORE AFTER B.safetensors [--rounds 7] [--cases f32:1,int8:8]

Each round runs `longclip bench` of both in an order that is drawn, and takes its fastest of four. Prints the medians, and the
median and the range of the rounds' ratios without the highest and lowest fifth. `LONGCLIP_CPU=avx2` compares what they do on a
lesser CPU.
"""

import argparse
import json
import random
import statistics
import subprocess


def fastest_ms(binary, model, dtype, batch):
    command = [binary, "bench", "--model", model, "--dtype", dtype, "--tower", "image", "--batch", batch]
    run = subprocess.run([*command, "--rounds", "4", "--format", "json", "-q"], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)[0]["ms_min"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", default="f32:1,f32:8,bf16:1,bf16:8,int8:1,int8:8", help="number types and batches")
    args = parser.parse_args()
    for case in args.cases.split(","):
        times = {args.before: [], args.after: []}
        for _ in range(args.rounds):
            for binary in random.sample((args.before, args.after), 2):
                times[binary].append(fastest_ms(binary, args.model, *case.split(":")))
        was, now = (statistics.median(times[binary]) for binary in (args.before, args.after))
        ratios = sorted(b / a for b, a in zip(times[args.before], times[args.after]))
        cut = len(ratios) // 5
        low, high = ratios[cut], ratios[-cut - 1]
        print(f"{case}: {was:.1f} ms before, {now:.1f} ms after, {statistics.median(ratios):.3f}x ({low:.3f} to {high:.3f})", flush=True)


if __name__ == "__main__":
    main()
