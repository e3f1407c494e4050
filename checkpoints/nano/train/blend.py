#!/usr/bin/env python3
"""Blends the weights of nano before and after continued training: (1 - share) * before + share * after.

    venv/bin/python blend.py before.safetensors nano-work/best.safetensors nano-work/blend.safetensors [--share 0.7]

A model trained on few images forgets some of what it knew, and the weights half way between know most of both (Wortsman et al.,
*Robust fine-tuning of zero-shot models*, 2022, who choose one half if there are no images to choose by). Our validation images are
small photos and drawings; they cannot measure large photos, where forgetting shows. Both files need the same text tower, which
`carry_on.py` does not change. With `--data nano-data`, the results on the validation images are printed.
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
