#!/usr/bin/env python3
"""Makes the samples from which nano learns long captions with `longclip train`.

    venv/bin/python long_data.py --data nano-data --work nano-work

Writes `nano-work/long-train.ndjson`: scenes, CIFAR-10's photos unchanged and others of them zoomed, blurred or sharpened, drawings,
and crops of the few large photos (the views of views.py), so that photos are not forgotten. Half of the crops are named like their
photo, and half by the ImageNet teacher if it is confident; their colours are measured.
Also writes `nano-work/long-val.ndjson`: the first 1,000 scenes, the first 1,000 of CIFAR-10's test images, and 500 crops of photos that
are kept for validation. The best weights are chosen by these and measured on the rest of `val.ndjson`.
"""
import argparse
import json
import os
import random

import numpy as np
import torch
from open_clip import IMAGENET_CLASSNAMES
from PIL import Image

import captions
import prepare
from train_base import MEAN, STD, augment
from views import PHOTOS, is_for_validation

N_SCENES, N_CIFAR, N_ZOOMED, N_VAL, N_VAL_CROPS = 40_000, 15_000, 10_000, 1_000, 500
MORE_OF, N_MORE = "cat", 2_500  # the class that the base most often takes for another one (a dog); more of it is zoomed
SURE = {"photos": 0.5, "walls": 0.3}  # the teacher's label is used from this probability on
TAUGHT = 0.5  # share of the photos' crops that may get the teacher's label


def records(data, name):
    for record in map(json.loads, open(os.path.join(data, name + ".ndjson"))):
        yield dict(record, path=os.path.abspath(os.path.join(data, record["path"])))


def save(work, pixels, name):
    """Saves (H, W, 3) uint8 pixels as a file and returns its path."""
    path = os.path.abspath(os.path.join(work, "crops", name + ".jpg"))
    Image.fromarray(pixels).save(path, quality=92)
    return path


def sample_of(pixels, noun, path, rnd):
    short, long = captions.picture_caption(rnd, "photo", noun, Image.fromarray(pixels))
    return {"path": path, "short": short, "long": long, "class": noun}


def crops(opt, by_path, rnd):
    """Crops of photos with captions: (for training, for validation)."""
    train, val = [], []
    for group, sure in SURE.items():
        views = torch.load(os.path.join(opt.work, f"views-{group}.pt"))
        surest, words = views["logits"].float().softmax(1).max(1)
        for i, path in enumerate(views["paths"]):
            record = by_path.get(os.path.abspath(os.path.join(opt.data, path)))
            taught = surest[i] >= sure and (record is None or rnd.random() < TAUGHT)
            if views["val"][i]:
                taught = False
            elif group == "photos" and record is None:
                continue  # in the validation set
            noun = IMAGENET_CLASSNAMES[words[i]] if taught else record and record["class"]
            if noun is not None:
                pixels = views["views"][i].numpy()
                sample = sample_of(pixels, noun, save(opt.work, pixels, f"{group}-{i:05}"), rnd)
                (val if views["val"][i] else train).append(sample)
    return train, rnd.sample(val, min(N_VAL_CROPS, len(val)))


def without_colours(caption):
    """The sentences that stay true after zooming and changes of light: the first one, and those on the object and the kind of image."""
    first, *others = caption.split(". ")
    general = [s for s in others if s.startswith(("A ", "An ", "It ")) and not any(w in s for w in ("left", "right", "corner"))]
    return ". ".join([first, *general]).rstrip(".") + "."


def zoomed(opt, rows):
    """CIFAR-10's photos, zoomed, blurred or sharpened."""
    for at in range(0, len(rows), 500):
        part = rows[at:at + 500]
        pixels = torch.from_numpy(np.stack([np.asarray(Image.open(r["path"]).convert("RGB")) for r in part]))
        seen = augment(pixels.permute(0, 3, 1, 2), torch.ones(len(part), dtype=torch.bool), 0.5)
        seen = seen * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
        seen = (seen.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        for i, record in enumerate(part):
            yield dict(record, path=save(opt.work, seen[i], f"cifar-{at + i:05}"), long=without_colours(record["long"]))


def split(rows, n, rnd):
    """`n` random rows, and the others."""
    rows = rnd.sample(rows, len(rows))
    return rows[:n], rows[n:]


def main(opt):
    prepare.OPT = argparse.Namespace(cache=os.path.abspath(opt.cache), out=os.path.abspath(opt.data))
    captions.GLOSS.update(prepare.glosses())
    os.makedirs(os.path.join(opt.work, "crops"), exist_ok=True)
    torch.manual_seed(1)
    rnd = random.Random(1)
    train, val = list(records(opt.data, "train")), list(records(opt.data, "val"))
    by_source = lambda rows, source: [record for record in rows if record["source"] == source]
    scenes, cifar = by_source(train, "scenes"), by_source(train, "cifar10")
    others = [record for record in train if record["source"] not in ("scenes", "cifar10")]
    by_path = {record["path"]: record for record in others}
    kept = lambda record: record["source"] in PHOTOS and is_for_validation(os.path.relpath(record["path"], os.path.abspath(opt.data)))
    cifar, left = split(cifar, N_CIFAR + N_ZOOMED, rnd)
    cifar += [record for record in left if record["class"] == MORE_OF][:N_MORE]
    of_photos, of_unseen = crops(opt, by_path, rnd)
    rows = rnd.sample(scenes, min(N_SCENES, len(scenes))) + cifar[:N_CIFAR] + [r for r in others if not kept(r)] + of_photos
    rows += zoomed(opt, cifar[N_CIFAR:])
    # Names of scenes are not classes.
    chosen_by = [{k: v for k, v in record.items() if k != "class"} for record in by_source(val, "scenes")[:N_VAL]]
    chosen_by += by_source(val, "cifar10")[:N_VAL] + of_unseen
    for name, found in (("long-train", rows), ("long-val", chosen_by)):
        with open(os.path.join(opt.work, name + ".ndjson"), "w") as file:
            file.writelines(json.dumps(record) + "\n" for record in found)
        print(f"{name}: {len(found)} samples")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--cache", default="nano-cache", help="the folder where prepare.py keeps its packages")
    main(parser.parse_args())
