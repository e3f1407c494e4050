"""Compares the time of a training step with PyTorch: same weights, shapes and arithmetic, in turn on one machine.

    python -m venv venv && venv/bin/pip install -r requirements.txt
    longclip model convert nano --to safetensors -o nano-248.safetensors      # or weights.py for the real sizes
    venv/bin/python train_step.py nano-248.safetensors --longclip ../../target/release/longclip [--batch 64] [--long 64] [--short 12]

A step is the forward and backward pass of both towers in f32, primary component matching (a singular value decomposition in
PyTorch), and AdamW on every tensor. Both engines cut texts at the end token: `--long` and `--short` are their tokens. longclip's
time is `step_ms` of its own metrics.ndjson minus the time it waited for data; PyTorch's is measured around the same work. The
engines take turns for `--rounds` rounds, and medians are printed. The losses of the first step are compared.

`--cpu-time` is for a machine that does other work: with one thread each, it compares the CPU time of a step.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

from clip import TextCut, Vision

THREADS = os.cpu_count()
MEAN, STD = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
WORDS = "a an in on at of by to up my it is he we do go so no or as be if me us".split()  # each is one token


def data(folder, n, side, long, short):
    """Writes images of noise and captions of exactly `long` and `short` tokens; returns the pixels as longclip makes them."""
    rng, lines, pixels = np.random.default_rng(5), [], []
    for i in range(n):
        picture = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(picture).save(os.path.join(folder, f"{i}.png"))
        words = rng.choice(WORDS, long - 2)
        lines.append(json.dumps({"path": f"{i}.png", "long": " ".join(words), "short": " ".join(rng.choice(WORDS, short - 2))}))
        pixels.append(((picture / 255 - MEAN) / STD).transpose(2, 0, 1))
    with open(os.path.join(folder, "data.ndjson"), "w") as f:
        f.write("\n".join(lines) + "\n")
    return torch.tensor(np.stack(pixels), dtype=torch.float32)


def token_ids(opt, folder):
    """The ids of the long and the short captions, from longclip's tokenizer, which is CLIP's."""
    records = [json.loads(line) for line in open(os.path.join(folder, "data.ndjson"))]

    def ids(key):
        command = [opt.longclip, "tokens", "--format", "json", *(r[key] for r in records)]
        rows = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return torch.tensor([row["ids"] for row in rows])

    return ids("long"), ids("short")


def loss(a, b, scale):
    logits = scale * a @ b.T
    target = torch.arange(len(a))
    return (F.cross_entropy(logits, target, label_smoothing=0.1) + F.cross_entropy(logits.T, target, label_smoothing=0.1)) / 2


def principal(x, k):
    mean = x.mean(0, keepdim=True)
    u, s, v = torch.linalg.svd(x - mean, full_matrices=False)
    return (u[:, :k] * s[:k]) @ v[:k] + mean


class Torch:
    def __init__(self, path, pixels, long, short):
        weights = load_file(path)
        weights = {k: v.float() for k, v in weights.items()}
        self.vision, self.text = Vision(weights), TextCut(weights)
        self.text.tokens.weight.requires_grad_(True)
        self.scale = torch.nn.Parameter(torch.tensor(4.6052))
        parameters = [*self.vision.parameters(), *self.text.parameters(), self.scale]
        parameters = [p.requires_grad_(True) for p in parameters]
        self.optimizer = torch.optim.AdamW(parameters, lr=1e-6, weight_decay=0.01)
        self.batch = pixels, long, short

    def step(self):
        pixels, long, short = self.batch
        image = F.normalize(self.vision(pixels))
        embed = lambda ids: F.normalize(self.text(ids, torch.full((len(ids),), ids.shape[1] - 1)))
        loss_long = loss(image, embed(long), self.scale.exp())
        loss_short = loss(principal(image, 32), embed(short), self.scale.exp())
        self.optimizer.zero_grad()
        (loss_long + loss_short).backward()
        self.optimizer.step()
        return loss_long.item(), loss_short.item()


def longclip_cpu_ms(opt, folder, batch, steps):
    """The CPU time of a step, as the difference between a longer and a shorter training."""

    def taken(n):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        losses = longclip(opt, folder, batch, n)[1]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), losses

    (short, losses), (long, _) = taken(1), taken(steps + 1)
    return [(long - short) / steps], losses


def longclip(opt, folder, batch, steps):
    out = os.path.join(folder, f"run-{time.monotonic_ns()}")
    command = [opt.longclip, "train", "-q", "--base", opt.weights, "--data", os.path.join(folder, "data.ndjson"), "--out", out, "--steps", str(steps),
               "--batch", str(batch), "--micro-batch", str(batch), "--lr", "1e-6", "--warmup", "0", "--save-every", str(10**9)]
    subprocess.run(command, check=True, env=os.environ | ({"RAYON_NUM_THREADS": "1"} if opt.cpu_time else {}))
    lines = [json.loads(line) for line in open(os.path.join(out, "metrics.ndjson"))]
    return [line["step_ms"] - line["data_wait_ms"] for line in lines[1:]], (lines[0]["loss_long"], lines[0]["loss_short"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--longclip", default="../../target/release/longclip")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--long", type=int, default=64)
    parser.add_argument("--short", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6, help="timed steps per round, after one that is not timed")
    parser.add_argument("--cpu-time", action="store_true")
    opt = parser.parse_args()
    opt.weights = os.path.abspath(opt.weights)
    threads = 1 if opt.cpu_time else THREADS
    torch.set_num_threads(threads)
    clock = time.process_time if opt.cpu_time else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        shapes = load_file(opt.weights)
        side = int(round((shapes["visual.positional_embedding"].shape[0] - 1) ** 0.5)) * shapes["visual.conv1.weight"].shape[3]
        pixels = data(folder, opt.batch, side, opt.long, opt.short)
        ids = token_ids(opt, folder)
        assert ids[0].shape[1] == opt.long and ids[1].shape[1] == opt.short, (ids[0].shape, ids[1].shape)
        peer = Torch(opt.weights, pixels, *ids)
        ours, theirs, first = [], [], None
        for round_ in range(opt.rounds):
            run, steps = (longclip_cpu_ms, opt.steps) if opt.cpu_time else (longclip, opt.steps + 1)
            times, losses = run(opt, folder, opt.batch, steps)
            ours += times
            for i in range(opt.steps + 1):
                start = clock()
                found = peer.step()
                taken = 1e3 * (clock() - start)
                first = first or (found, losses)
                theirs += [taken] if i else []
    print(f"losses of the first step: torch {first[0][0]:.5f} and {first[0][1]:.5f}, longclip {first[1][0]:.5f} and {first[1][1]:.5f}")
    print(f"batch {opt.batch}, {opt.long} and {opt.short} tokens, {threads} threads" + (", CPU time" if opt.cpu_time else ""))
    for name, times in (("torch", theirs), ("longclip", ours)):
        print(f"  {name:9} {statistics.median(times):9.1f} ms per step ({min(times):.1f} to {max(times):.1f})")
    print(f"  longclip / torch: {statistics.median(ours) / statistics.median(theirs):.2f}")
