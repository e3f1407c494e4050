#!/usr/bin/env python3
"""Blends two weights of nano, those before carrying on and those after: (1 - share) * before + share * after.

    venv/bin/python blend.py before.safetensors nano-work/best.safetensors nano-work/blend.safetensors [--share 0.7]

What is trained on few pictures forgets some of what it knew; half way lie weights that know most of both (Wortsman and
others, *Robust fine-tuning of zero-shot models*, 2022, whose choice is one half where there are no pictures to choose by:
our validation pictures are small photos and drawings, and say nothing about large photos, where forgetting shows). The
two weights need the same text tower, as `carry_on.py` leaves it. With `--data nano-data` the validation pictures are asked.
"""
import argparse

import torch
from safetensors.torch import load_file, save_file

from carry_on import Validation, load_towers


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("before")
    arguments.add_argument("after")
    arguments.add_argument("out")
    arguments.add_argument("--share", type=float, default=0.5)
    arguments.add_argument("--data", help="the folder that prepare.py made")
    arguments = arguments.parse_args()

    before, after = load_file(arguments.before), load_file(arguments.after)
    mix = lambda a, b: torch.lerp(a.float(), b.float(), arguments.share).to(a.dtype)
    save_file({name: mix(before[name], after[name]) for name in before}, arguments.out)
    if arguments.data:
        validation = Validation(arguments.data, load_towers(arguments.before)[1])
        for path in (arguments.before, arguments.out, arguments.after):
            score, line = validation.score(load_towers(path)[0])
            print(f"{path} |", line, f"| score {score:.4f}", flush=True)


if __name__ == "__main__":
    main()
