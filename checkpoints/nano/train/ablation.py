#!/usr/bin/env python3
"""Measures what stretching and primary component matching gain: trains nano on long captions with both, and without each.

    checkpoints/nano/train/prepare.py --out nano-data --scenes 60000 --jobs 2       # see README.md
    python3 checkpoints/nano/train/ablation.py --data nano-data --base nano-work/base-77.safetensors --longclip target/release/longclip --out ablation [--steps 300]

For each seed, runs `longclip train` with the same number of steps from the same 77-token base; the trainings differ in one flag
each. Then it measures with `longclip embed`, on images that no training saw: R@1 of scenes with long and with short captions, in both
directions, and zero-shot top-1 on CIFAR-10's test images, asked as `a photo of a NAME.`. Captions with the same text count as one.
Prints the table of docs/train.md: means over the seeds, and their ranges. Needs numpy.
"""
import argparse
import json
import os
import random
import subprocess

import numpy as np

RUNS = {
    "stretching and PCM": [],
    "(a) no stretching": ["--no-stretch"],
    "(b) no PCM": ["--no-pcm"],
}


def records(opt, name, source, n, seed):
    """The first `n` records of a source after a shuffle by the seed, with absolute paths."""
    path = os.path.join(opt.data, f"{name}.ndjson")
    found = [r for r in map(json.loads, open(path)) if r["source"] == source]
    random.Random(seed).shuffle(found)
    return [dict(r, path=os.path.abspath(os.path.join(opt.data, r["path"]))) for r in found[:n]]


def write(path, rows):
    with open(path, "w") as f:
        f.writelines(json.dumps(r) + "\n" for r in rows)
    return path


def embed(opt, model, flags, *, images=None, texts=None):
    """Unit-length embeddings of images or texts, by `longclip embed`."""
    out = os.path.join(opt.out, "vectors.npy")
    source = os.path.join(opt.out, "wanted")
    if images is not None:
        write(source, [{"path": r["path"]} for r in images])
        given = ["--ndjson-from", source]
    else:
        with open(source, "w") as f:
            f.writelines(t.replace("\n", " ") + "\n" for t in texts)
        given = ["--texts-file", source]
    subprocess.run([opt.longclip, "embed", "-q", "--normalize", "--model", model, *flags, *given, "--output", out], check=True)
    vectors = np.load(out)
    os.remove(out)
    return vectors


def recall(image, text, captions):
    same = np.array([captions.index(c) for c in captions])
    near = image @ text.T
    right = lambda nearest: float((same[nearest] == same).mean())
    return right(near.argmax(1)), right(near.argmax(0))


def evaluate(opt, model, flags, scenes, photos):
    image = embed(opt, model, flags, images=scenes)
    row = []
    for kind in ("long", "short"):
        captions = [r[kind] for r in scenes]
        row += recall(image, embed(opt, model, flags, texts=captions), captions)
    names = sorted({r["class"] for r in photos})
    labels = embed(opt, model, flags, texts=[f"a photo of a {name}." for name in names])
    nearest = (embed(opt, model, flags, images=photos) @ labels.T).argmax(1)
    return row + [float(np.mean([names[i] == r["class"] for i, r in zip(nearest, photos)]))]


def train(opt, flags, seed):
    """The path of the trained model, and the minutes that its steps took."""
    out = os.path.join(opt.out, f"run-{''.join(flags).strip('-') or 'both'}-{seed}")
    command = [opt.longclip, "train", "--base", opt.base, "--data", os.path.join(opt.out, "train.ndjson"), "--out", out, "--steps", str(opt.steps),
               "--batch", str(opt.batch), "--micro-batch", str(opt.batch), "--lr", opt.lr, "--logit-scale", opt.logit_scale, "--warmup", str(opt.steps // 10),
               "--freeze", opt.freeze, "--seed", str(seed), "--resume", *flags]
    print("$", " ".join(command), flush=True)
    subprocess.run(command, check=True)
    times = [json.loads(line)["step_ms"] for line in open(os.path.join(out, "metrics.ndjson"))]
    return os.path.join(out, "last.safetensors"), sum(times) / 60e3


def main(opt):
    os.makedirs(opt.out, exist_ok=True)
    training = records(opt, "train", "scenes", opt.scenes, 1) + records(opt, "train", "cifar10", opt.photos, 1)
    write(os.path.join(opt.out, "train.ndjson"), training)
    scenes, photos = records(opt, "val", "scenes", 1000, 2), records(opt, "val", "cifar10", 2000, 2)
    rows = [("base, stretched, not trained", [(None, evaluate(opt, opt.base, [], scenes, photos))])]
    for name, flags in RUNS.items():
        found = []
        for seed in opt.seeds:
            model, minutes = train(opt, flags, seed)
            found.append((minutes, evaluate(opt, model, [f for f in flags if f == "--no-stretch"], scenes, photos)))
        rows.append((name, found))
    print(f"\n{len(training)} training samples, {opt.steps} steps of {opt.batch}, rate {opt.lr}, seeds {opt.seeds}; {len(scenes)} scenes, {len(photos)} photos\n")
    print("| | long R@1, image to text | long R@1, text to image | short R@1, image to text | short R@1, text to image | CIFAR-10 top-1 | minutes |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, found in rows:
        columns = zip(*(row for _, row in found))
        minutes = [minutes for minutes, _ in found if minutes is not None]
        print(f"| {name} | {' | '.join(map(cell, columns))} | {f'{np.mean(minutes):.0f}' if minutes else ''} |")


def cell(values):
    """The mean, and the range if there are several values."""
    percent = [100 * value for value in values]
    return f"{np.mean(percent):.1f}%" + (f" ({min(percent):.1f} to {max(percent):.1f})" if len(percent) > 1 else "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--longclip", default="target/release/longclip")
    parser.add_argument("--base", required=True, help="the weights with 77 positions; train.py writes them to base-77.safetensors in its work folder")
    parser.add_argument("--logit-scale", default="3.6445", help="where the trainings start; by default that of the base")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", default="5e-5")
    parser.add_argument("--freeze", default="token_embedding", help="tensors that are not trained, as for `longclip train --freeze`")
    parser.add_argument("--scenes", type=int, default=30000)
    parser.add_argument("--photos", type=int, default=10000)
    main(parser.parse_args())
