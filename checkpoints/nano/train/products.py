#!/usr/bin/env python3
"""Measures how well nano finds product pictures by descriptions that people wrote, before and after training on such descriptions.

    venv/bin/python products.py --data nano-data [--weights ../../nano.safetensors] [--steps 20]

The 81 pictures and descriptions of the Grocery Store Dataset are not part of nano's training. Their order is shuffled and split into
9 folds. For each fold, the image tower is trained from the given weights on the other 72 pairs; then each of the 9 held-out
descriptions is compared with all 81 pictures, and each of the 9 pictures with all 81 descriptions. Prints R@1, R@5 and R@10 for both
directions, with the weights as they are and after the 9 trainings.
"""
import argparse
import os
import random

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import towers
import views

FOLDS = 9


def ranks(similarity, rows):
    """For each of the rows, how many others are at least as similar as the right one, which has the number of the row."""
    chosen = similarity[rows]
    right = chosen[torch.arange(len(rows)), rows]
    return (chosen >= right[:, None]).sum(1) - 1


def similarities(image, pixels, texts):
    image.eval()
    with torch.no_grad():
        z = F.normalize(image(towers.normalised(pixels.permute(0, 3, 1, 2).float() / 255)), dim=1)
    return z @ texts.T


def trained(opt, views_, texts, rows):
    """The image tower after training on some of the pairs."""
    image, _, scale = towers.load(opt.weights)
    steps = torch.optim.AdamW(image.parameters(), lr=opt.rate, weight_decay=0.05)
    image.train()
    for _ in range(opt.steps):
        batch = towers.augment(views_[rows].permute(0, 3, 1, 2), torch.ones(len(rows), dtype=torch.bool, device=towers.DEVICE), 0.5)
        logits = scale.exp() * F.normalize(image(batch), dim=1) @ texts[rows].T
        truth = torch.arange(len(rows), device=towers.DEVICE)
        loss = (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
        steps.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(image.parameters(), 1.0)
        steps.step()
    return image


def line(name, found):
    shares = lambda r: " | ".join(f"{100 * (r < k).float().mean():.1f}%" for k in (1, 5, 10))
    print(f"| {name} | {shares(found['text'])} | {shares(found['image'])} |", flush=True)


def main(opt):
    torch.manual_seed(1)
    rows = views.records_of(opt.data, "products")
    images = [views.square(Image.open(os.path.join(opt.data, r["path"]))) for r in rows]
    stack = lambda side: torch.from_numpy(np.stack([views.sized(im, side) for im in images])).to(towers.DEVICE)
    pixels, larger = stack(towers.SIDE), stack(views.VIEW)
    image, text, _ = towers.load(opt.weights)
    texts = towers.encode(text.eval(), [r["long"] for r in rows])
    order = list(range(len(rows)))
    random.Random(1).shuffle(order)

    print("| weights | text to image R@1 | R@5 | R@10 | image to text R@1 | R@5 | R@10 |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    before = similarities(image, pixels, texts)
    everything = torch.tensor(order)
    line("as they are", {"text": ranks(before.T, everything), "image": ranks(before, everything)})
    after = {"text": [], "image": []}
    for k in range(FOLDS):
        held = torch.tensor(order[k::FOLDS])
        rest = torch.tensor([i for i in order if i not in set(held.tolist())])
        found = similarities(trained(opt, larger, texts, rest), pixels, texts)
        after["text"].append(ranks(found.T, held))
        after["image"].append(ranks(found, held))
    line(f"after {opt.steps} steps on the other folds", {k: torch.cat(v) for k, v in after.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the folder that prepare.py made")
    parser.add_argument("--weights", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../nano.safetensors"))
    parser.add_argument("--steps", type=int, default=20, help="steps of each of the 9 trainings")
    parser.add_argument("--rate", type=float, default=1e-4)
    main(parser.parse_args())
