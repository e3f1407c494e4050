"""Compares how long two builds of the program take to load a model and to embed one short text.

    python tests/oracle/loading.py BEFORE AFTER MODEL.. --rounds 30

The builds alternate, and the order within a round is drawn, so that a machine that becomes slower affects both. Prints
the median of each, and the median of the rounds' ratios with an interval of 95 % (of the sign test). `nano` is a model
too; files of real size can be made with `--make FOLDER`, which writes ViT-B/16 in four layouts and needs open_clip.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path


def seconds(binary, model):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LONGCLIP_CPU") if name in os.environ}
    started = time.perf_counter()
    subprocess.run(
        [binary, "embed", "--text", "a cat", "--model", model],
        env={**kept, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started


def make(folder):
    """Random weights of a ViT-B/16 with 248 positions: safetensors of f32 and f16, a `.pt`, and transformers' names."""
    import torch
    from open_clip.model import CLIP
    from safetensors.torch import save_file
    from transformers import CLIPConfig, CLIPModel

    folder.mkdir(parents=True, exist_ok=True)
    model = CLIP(512, {"layers": 12, "width": 768, "patch_size": 16}, {"context_length": 248}, quick_gelu=True)
    tensors = model.state_dict()
    save_file(tensors, folder / "f32.safetensors")
    save_file({name: tensor.half() for name, tensor in tensors.items()}, folder / "f16.safetensors")
    torch.save({"state_dict": tensors}, folder / "training.pt")
    CLIPModel(CLIPConfig(text_config={"max_position_embeddings": 248})).save_pretrained(folder / "transformers")


def compare(before, after, model, rounds):
    times = {before: [], after: []}
    for binary in (before, after):
        seconds(binary, model)  # the file is in memory from here on
    for _ in range(rounds):
        for binary in random.sample((before, after), 2):
            times[binary].append(seconds(binary, model))
    ratios = sorted(b / a for a, b in zip(times[before], times[after]))
    # The ranks between which the median of n values is with a probability of at least 95 %.
    margin = int(0.98 * rounds**0.5) + 1
    low, high = ratios[max(0, rounds // 2 - margin)], ratios[min(rounds - 1, rounds // 2 + margin)]
    was, now = (1000 * statistics.median(times[binary]) for binary in (before, after))
    ratio = f"ratio {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})"
    print(f"{model}: {was:.1f} ms before, {now:.1f} ms after, {ratio}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("before", nargs="?")
    parser.add_argument("after", nargs="?")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--make", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.make)
        return
    for model in arguments.models:
        compare(arguments.before, arguments.after, model, arguments.rounds)


if __name__ == "__main__":
    sys.exit(main())
