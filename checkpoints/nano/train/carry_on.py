#!/usr/bin/env python3
"""Continues from weights of nano: trains the image tower against the finished text tower, for a given time.

    venv/bin/python carry_on.py --start base-77.safetensors --data nano-data --work nano-work --minutes 90

Needs a finished `nano-data` (prepare.py), the views (views.py) and the first weights (train_base.py). The text tower is fixed, so
every text is embedded once, before the first step, and a step costs only the image tower. Three losses on a batch of 256:
  taught  crops of photos, walls, scenes and CIFAR-10: KL to the teacher's 1,000 probabilities, over ImageNet's names in one of the templates
  told    CIFAR-10, named images and scenes: contrastive against their short captions, all pairs of one class positive
  named   the same images without the scenes: cross entropy over all class names; names that mean nearly the same don't count
Every --measure minutes, the moving average of the weights is measured on the validation images and written to
`last.safetensors`; the best so far is `best.safetensors`. The score is the mean of four numbers, none of which uses a held-out photo:
CIFAR-10 top-1, pictures top-1 and top-5, and how often the teacher's first answer to a crop of an unseen photo is among our first
five of 1,000. `train_base.py` trains on crops of all photos, so the last number is too good for its weights at the start; the later
measurements are fair.
"""
import argparse
import copy
import math
import os
import shutil
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

import train_base as base
from train_base import CIFAR, SIDE, TEMPLATES, VIEW, ImageTower, TextTower, augment, kl, nce, normalised, optimizer, records
from views import PHOTOS, is_for_validation

SHARES = {"views": 96, "cifar": 72, "photos": 32, "icons": 28, "scenes": 28}  # images of each kind in a batch
VIEW_SHARES = {"photos": 0.45, "walls": 0.18, "scenes": 0.12, "cifar": 0.25}
PATCHES = 40  # patches, of 64, that an image is trained on until LAST_PART (FLIP)
LAST_PART = 0.85
SCENES = 12000
SYNONYM = 0.8  # above this cosine of two class names, one does not count as a wrong answer for the other
AVERAGE = 0.995  # decay of the moving average per step


def load_towers(path):
    tensors = load_file(path)
    image = ImageTower(base.count_layers(tensors, "visual.transformer.resblocks."))
    text = TextTower(base.count_layers(tensors, "transformer.resblocks."))
    base.load_into(image, tensors)
    base.load_into(text, tensors)
    return image, text.eval().requires_grad_(False), tensors["logit_scale"].float()


@torch.no_grad()
def encode(text, texts):
    """Texts -> (N, 256), unit length. Computed 256 at a time, with texts of similar length together."""
    order, out = sorted(range(len(texts)), key=lambda i: len(texts[i])), torch.empty(len(texts), base.EMBED)
    for i in range(0, len(order), 256):
        rows = order[i:i + 256]
        out[rows] = F.normalize(text(base.ids_of([texts[j] for j in rows])).float(), dim=1)
    return out


def spoken(name):
    """The everyday name of a class."""
    return "car" if name == "automobile" else name


# ---------------------------------------------------------------- data


def square(picture):
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def pixels(data, rows, side):
    """The central squares, (N, 3, side, side) uint8."""
    load = lambda r: np.asarray(square(Image.open(os.path.join(data, r["path"])).convert("RGB")).resize((side, side), Image.BICUBIC))
    return torch.from_numpy(np.stack([load(r) for r in rows])).permute(0, 3, 1, 2).contiguous()


class Captioned:
    """Images of one kind with captions and classes."""

    def __init__(self, data, rows, side, captions, classes):
        self.pixels = pixels(data, rows, side)
        self.caption = torch.tensor([captions.setdefault(r["short"], len(captions)) for r in rows])
        self.class_ = torch.tensor([classes.setdefault(r["class"], len(classes)) for r in rows])


class Training:
    """All data that batches are drawn from, in memory."""

    def __init__(self, data, work):
        self.rng = np.random.default_rng(int(time.time()))
        rows, self.captions, self.classes = records_by_kind(data), {}, {}
        self.told = {}
        for kind, side in (("cifar", 32), ("photos", VIEW), ("icons", VIEW), ("scenes", VIEW)):
            self.told[kind] = Captioned(data, rows[kind], side, self.captions, self.classes)
            if kind == "icons":
                self.n_names = len(self.classes)  # the rest are scenes, which do not have a single name
            print(kind, len(rows[kind]), flush=True)
        self.views = {g: torch.load(os.path.join(work, f"views-{g}.pt")) for g in VIEW_SHARES}
        self.rows = {g: torch.nonzero(~v["val"]).flatten() for g, v in self.views.items()}
        self.unseen = [torch.cat([v[what][v["val"]] for g, v in self.views.items() if g not in ("scenes", "cifar")]) for what in ("views", "logits")]

    def batch(self):
        """Images; the teacher's probabilities for the first of them; captions and classes of the others."""
        pick = lambda rows, n: rows[torch.from_numpy(self.rng.integers(0, len(rows), n))]
        pictures, logits, captions, classes = [], [], [], []
        counts = self.rng.multinomial(SHARES["views"], list(VIEW_SHARES.values()))
        for (group, view), n in zip(self.views.items(), counts):
            i = pick(self.rows[group], n)
            pictures.append(augment(view["views"][i].permute(0, 3, 1, 2), torch.full((n,), group != "scenes"), 0.6))
            logits.append(view["logits"][i])
        for kind, told in self.told.items():
            n = SHARES[kind]
            i = torch.from_numpy(self.rng.integers(0, len(told.pixels), n))
            flip = torch.full((n,), kind != "scenes")  # captions of scenes say left and right
            pictures.append(augment(told.pixels[i], flip, 0.75 if kind == "scenes" else 0.5))
            captions.append(told.caption[i])
            classes.append(told.class_[i])
        return torch.cat(pictures), torch.cat(logits).float().softmax(1), torch.cat(captions), torch.cat(classes)


def records_by_kind(data):
    out = {"cifar": [], "photos": [], "icons": [], "scenes": []}
    for r in base.records(argparse.Namespace(data=data), "train"):
        if r["source"] in PHOTOS and is_for_validation(r["path"]):
            continue
        kind = {"cifar10": "cifar", "scenes": "scenes"}.get(r["source"], "photos" if r["source"] in PHOTOS else "icons")
        out[kind].append(r)
    out["scenes"] = out["scenes"][:: max(1, len(out["scenes"]) // SCENES)]
    return out


# ---------------------------------------------------------------- measuring


class Validation:
    """The validation images and their possible names; none of these images is trained on."""

    def __init__(self, data, text):
        rows = records(argparse.Namespace(data=data), "val")
        sets = {"cifar10": [r for r in rows if r["source"] == "cifar10"][:2000], "pictures": [r for r in rows if r["source"] not in ("cifar10", "scenes")]}
        self.sets = {}
        for name, chosen in sets.items():
            labels = CIFAR if name == "cifar10" else sorted({r["class"] for r in chosen})
            truth = torch.tensor([labels.index(r["class"]) for r in chosen])
            self.sets[name] = pixels(data, chosen, SIDE), truth, encode(text, ["a photo of a " + spoken(c) for c in labels])

    def add_teacher(self, unseen, imagenet):
        """Also measures agreement with the teacher's first answer on crops of unseen photos, among `imagenet`'s 1,000 names."""
        views, logits = unseen
        small = F.interpolate(views.permute(0, 3, 1, 2).float(), (SIDE, SIDE), mode="bicubic", align_corners=False, antialias=True)
        self.sets["teacher"] = small.clamp(0, 255).to(torch.uint8), logits.float().argmax(1), imagenet

    @torch.no_grad()
    def score(self, image):
        """The mean of the numbers, and a line that shows them."""
        image.eval()
        got = {}
        for name, (pictures, truth, labels) in self.sets.items():
            z = torch.cat([image(normalised(pictures[i : i + 250].float() / 255)) for i in range(0, len(pictures), 250)])
            hit = (z @ labels.T).topk(5, 1).indices == truth[:, None]
            got[name] = hit[:, 0].float().mean().item(), hit.any(1).float().mean().item()
        image.train()
        numbers = [got["cifar10"][0], *got["pictures"]] + ([got["teacher"][1]] if "teacher" in got else [])
        return sum(numbers) / len(numbers), "; ".join(f"{k} ({len(self.sets[k][1])}) top-1 {a:.3f} top-5 {b:.3f}" for k, (a, b) in got.items())


def write(path, start, image, scale):
    """Writes the weights in the format of `train_base.py`, with the text tower of the start."""
    out = dict(load_file(start))
    out.update({k: v.detach().half().contiguous() for k, v in image.upstream().items()})
    out["logit_scale"] = scale.detach().float()
    save_file(out, path + ".part")
    os.replace(path + ".part", path)


# ---------------------------------------------------------------- training


class Names:
    """Texts, embedded once: ImageNet's names and the data's class names in each template, and the captions."""

    def __init__(self, text, training):
        import open_clip
        imagenet = list(open_clip.IMAGENET_CLASSNAMES)
        own = [spoken(c) for c in list(training.classes)[: training.n_names]]
        self.imagenet = [encode(text, [t.format(n) for n in imagenet]) for t in TEMPLATES]
        self.own = [encode(text, [t.format(n) for n in own]) for t in TEMPLATES]
        self.captions = encode(text, list(training.captions))
        alike = self.own[2] @ self.own[2].T > SYNONYM
        self.no_answer = alike & ~torch.eye(len(own), dtype=torch.bool)  # [true name, other name]


def losses(image, scale, batch, names, rng, keep):
    pictures, prob, caption, class_ = batch
    with torch.autocast("cpu", torch.bfloat16):
        z = image(pictures, keep)
    z, s, template = F.normalize(z.float(), dim=1), scale.exp().clamp(max=100), rng.integers(len(TEMPLATES))
    seen, told = z[: len(prob)], z[len(prob):]
    taught = kl(prob, s * seen @ names.imagenet[template].T).mean()
    captions = nce(told, names.captions[caption], class_, s)
    one = class_ < len(names.no_answer)
    logits = s * told[one] @ names.own[template].T
    named = F.cross_entropy(logits.masked_fill(names.no_answer[class_[one]], -1e4), class_[one])
    return taught, captions, named


def train(arguments, image, scale, training, names, validation):
    scale = nn.Parameter(scale)
    params = [*image.parameters(), scale]
    steps, average = optimizer(params, arguments.rate, 0.05), copy.deepcopy(image)
    best, line = validation.score(image)
    print("start |", line, f"| score {best:.4f}", flush=True)
    begun = measured = time.time()
    step = 0
    while (done := (time.time() - begun) / 60 / arguments.minutes) < 1:
        for group in steps.param_groups:
            group["lr"] = arguments.rate * min(1, (step + 1) / 100) * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))
        keep = PATCHES if done < LAST_PART else None
        taught, told, named = losses(image, scale, training.batch(), names, training.rng, keep)
        steps.zero_grad()
        (taught + 0.5 * told + 0.5 * named).backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        steps.step()
        with torch.no_grad():
            decay = min(AVERAGE, (1 + step) / (10 + step))
            for a, p in zip(average.parameters(), image.parameters()):
                a.lerp_(p, 1 - decay)
        if step % 50 == 0:
            print(f"{done:.1%} step {step} taught {taught:.3f} told {told:.3f} named {named:.3f} scale {scale.exp():.1f}", flush=True)
        step += 1
        if time.time() - measured > 60 * arguments.measure:
            best = keep_best(arguments, average, scale, validation, best, f"{done:.0%}")
            measured = time.time()
    keep_best(arguments, average, scale, validation, best, "done")


def keep_best(arguments, image, scale, validation, best, tag):
    score, line = validation.score(image)
    last = os.path.join(arguments.work, "last.safetensors")
    write(last, arguments.start, image, scale)
    if score > best:
        shutil.copyfile(last, os.path.join(arguments.work, "best.safetensors"))
    print(tag, "|", line, f"| score {score:.4f}", "best" if score > best else "", flush=True)
    return max(best, score)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--start", required=True, help="weights from train_base.py")
    arguments.add_argument("--data", default="nano-data")
    arguments.add_argument("--work", default="nano-work")
    arguments.add_argument("--minutes", type=float, default=90)
    arguments.add_argument("--rate", type=float, default=5e-4, help="highest learning rate")
    arguments.add_argument("--measure", type=float, default=10, help="minutes between measurements on the validation images")
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = arguments.parse_args()
    torch.set_num_threads(arguments.threads)
    image, text, scale = load_towers(arguments.start)
    training = Training(arguments.data, arguments.work)
    names = Names(text, training)
    print(len(training.captions), "captions,", training.n_names, "names", flush=True)
    validation = Validation(arguments.data, text)
    validation.add_teacher(training.unseen, names.imagenet[0])
    train(arguments, image, scale, training, names, validation)


if __name__ == "__main__":
    main()
