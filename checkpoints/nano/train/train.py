#!/usr/bin/env python3
"""Trains nano for a given time, from prepared data to a packed file.

    venv/bin/python train.py --data nano-data --work nano-work --minutes 60 --start ../../nano.safetensors --out nano.safetensors
    venv/bin/python train.py --data nano-data --work nano-work --minutes 600 --out nano.safetensors     # from scratch

Runs on a CPU, or on a CUDA card if torch finds one. The results of finished steps are kept in --work. If the command is stopped, the
same command continues: after finished steps, and inside the training of the image tower after the last state that was saved.
  sets   crops of photos with the answers of an ImageNet teacher, and the other images (views.py)
  words  the text tower learns the embedding space of a sentence model (words.py); only from scratch
  base   the image tower learns with the fixed text tower, whose 77 positions are too few for long captions
  long   `longclip train` stretches the positions to 248 and trains the text tower on long and short captions
  image  the image tower learns with the final text tower, long captions included
Weights that already have 248 positions need the last step only.

In a step on the image tower, every text is embedded once, before the first batch. Losses on a batch of 256:
  taught  photos and CIFAR-10: KL to the teacher's 1,000 probabilities, over ImageNet's names
  named   named images: cross entropy over all class names; names that mean nearly the same don't count as wrong answers, nor
          those of which one includes the other, by WordNet, as "person" includes "astronaut". For a photo of a person, half of the
          answers are any kind of person: each says more about the photo than the name of a thing or an animal
  own     sets of photos and CIFAR-10: cross entropy over the names of that set, or of sets with more names (OTHERS)
  told    all images with a caption: contrastive against the short captions; all pairs of one class are positives, and names as above don't count
  long    scenes: contrastive against long captions, among thousands of other captions
Every --measure minutes, the moving average of the weights is measured on the validation images, which are never trained on, and
written to `STEP-last.safetensors`; the best so far is `STEP-best.safetensors`. In the end, the best are averaged with the weights
that the step began with, by the share that scores highest, because training on new images costs some of what was known before
(M. Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022); `STEP-averaged.safetensors` is the step's result.
"""
import argparse
import copy
import json
import math
import os
import random
import shutil
import subprocess
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

import prepare
import towers
import views
import words
from towers import DEVICE, SIDE, augment, encode, in_fast_dtype, normalised

HERE = os.path.dirname(os.path.abspath(__file__))
TEMPLATES = ["a photo of a {}", "a photo of a {}.", "{}", "a {}", "a picture of a {}", "the {}", "a close-up photo of a {}"]
CIFAR = "airplane automobile bird cat deer dog frog horse ship truck".split()
# images in a batch
COUNTS = {"grocery": 32, "clothes": 32, "caltech": 44, "pets": 8, "people": 12, "portraits": 16, "photos": 24, "walls": 8, "cifar": 40, "icons": 20, "scenes": 32}
SMALLEST = {"grocery": 0.3, "clothes": 0.4, "caltech": 0.4, "pets": 0.3, "people": 0.25, "portraits": 0.3, "photos": 0.5, "walls": 0.6, "cifar": 0.5, "icons": 0.5, "scenes": 0.75}  # shares that crops show
OWN = (*views.PHOTO_SETS, "cifar")  # sets whose names are also told apart from each other
OTHERS = {"portraits": ("caltech", "pets")}  # sets whose names are compared with the only name of a set
PEOPLE = ("people", "portraits")  # sets of which nobody says what kind of person a photo shows
WEIGHTS = {"taught": 1.0, "named": 0.4, "own": 0.7, "told": 0.3, "long": 0.5}
PATCHES, LAST_PART = 40, 0.8  # patches, of 64, that an image is trained on until this share of the time (FLIP)
SYNONYM = 0.8  # above this cosine of two class names, one does not count as a wrong answer for the other
BANK = 2048  # long captions that a scene is compared with
WARM_UP = 0.02  # share of the time
AVERAGE = 0.995  # decay of the moving average per step
SHARES = (1, 0.9, 0.8, 0.7, 0.6)  # of the trained weights, in an average with those of the start


def spoken(name):
    """The everyday name of a class."""
    return "car" if name == "automobile" else name


def optimizer(params, decay):
    params = list(params)
    groups = [{"params": [p for p in params if p.ndim > 1], "weight_decay": decay}, {"params": [p for p in params if p.ndim < 2], "weight_decay": 0}]
    return torch.optim.AdamW(groups, lr=0, betas=(0.9, 0.98))


def share_done(opt, minutes, seconds, step):
    return step / opt.steps if opt.steps else seconds / 60 / minutes


def clock(steps, rate, done):
    """Sets the learning rate: a warm-up, then a cosine over the time. False when the time is over."""
    for group in steps.param_groups:
        group["lr"] = rate * min(1, done / WARM_UP) * (0.02 + 0.49 * (1 + math.cos(math.pi * min(1, done))))
    return done < 1


# ---------------------------------------------------------------- data


class Set:
    """Images of one kind, and the indices of their classes and captions."""

    def __init__(self, made, classes, captions):
        keep = ~made["val"]
        self.pixels, self.logits = made["pixels"], made["logits"]
        self.rows = torch.nonzero(keep).flatten()
        self.taught = self.rows[self.rows < len(self.logits)]
        owner, records = made["record"], made["records"]
        index = lambda table, field: torch.tensor([table.setdefault(r[field], len(table)) for r in records] + [-1])
        self.class_, self.caption, self.owner = index(classes, "class")[owner], index(captions, "short")[owner], owner
        self.records = records

    def draw(self, rng, n):
        """`n` positions. If the teacher saw only a part of the set, at least half of them are in that part."""
        some = lambda rows, n: rows[torch.from_numpy(rng.integers(0, len(rows), n))]
        if not len(self.taught) or len(self.taught) == len(self.rows):
            return some(self.rows, n)
        return torch.cat([some(self.taught, n // 2), some(self.rows, n - n // 2)])


class Training:
    def __init__(self, opt):
        self.rng, self.classes, self.captions, self.sets, self.unseen = np.random.default_rng(int(time.time())), {}, {}, {}, {}
        self.counts = {name: max(4, round(n * opt.batch / sum(COUNTS.values()))) for name, n in COUNTS.items()}
        for name in views.NAMES:
            made = views.load(opt.data, opt.work, name, opt.thin)
            if not len(made["pixels"]):
                continue
            self.sets[name] = Set(made, self.classes, self.captions)
            if name != "scenes":
                self.n_names = len(self.classes)  # scenes, the last set, do not have a single name
            val = made["val"]
            if val.any():
                self.unseen[name] = {k: made[k][val] for k in ("pixels", "logits", "record")}, made["records"]
        self.classes_of = {name: sorted({c for one in self.compared(name) for c in one.class_.tolist()}) for name in OWN if name in self.sets}

    def compared(self, name):
        """The sets with whose names a photo of a set is compared."""
        return [self.sets[one] for one in (name, *OTHERS.get(name, ())) if one in self.sets]

    def batch(self):
        """Images, and for each of them: its set, its class, its short caption, its record, and its place among the taught ones."""
        out = {"pixels": [], "set": [], "class": [], "caption": [], "record": [], "prob": [], "taught": []}
        for k, (name, one) in enumerate(self.sets.items()):
            i = one.draw(self.rng, self.counts[name])
            flip = torch.full((len(i),), name != "scenes", device=DEVICE)  # captions of scenes say left and right
            out["pixels"].append(augment(one.pixels[i].permute(0, 3, 1, 2), flip, SMALLEST[name]))
            out["set"].append(torch.full((len(i),), k))
            out["class"].append(one.class_[i])
            out["caption"].append(one.caption[i])
            out["record"].append(one.owner[i])
            taught = i < len(one.logits)
            out["taught"].append(taught)
            out["prob"].append(one.logits[i[taught]].float().softmax(1))
        return {k: torch.cat(v).to(DEVICE) for k, v in out.items()}


class Texts:
    """Texts, embedded once: ImageNet's names and the class names in each template, the short captions, and the long ones of scenes."""

    def __init__(self, opt, text, training):
        import open_clip
        templates = TEMPLATES[: max(1, len(TEMPLATES) // opt.thin)]
        own = [spoken(c) for c in list(training.classes)[: training.n_names]]
        self.imagenet = torch.stack([encode(text, [t.format(n) for n in open_clip.IMAGENET_CLASSNAMES]) for t in templates])
        self.own = torch.stack([encode(text, [t.format(n) for n in own]) for t in templates])
        self.captions = encode(text, list(training.captions))
        scenes = training.sets.get("scenes")
        # Of 77 positions, long captions fill more than all.
        self.long = encode(text, [r["long"] for r in scenes.records]) if scenes and text.context > towers.CONTEXT else None
        plain = encode(text, own)
        alike = plain @ plain.T > SYNONYM
        above = prepare.broader(own)
        includes = torch.tensor([[a[0] in b for b in above] for a in above], device=DEVICE)
        self.no_answer = (alike | includes | includes.T) & ~torch.eye(len(own), dtype=torch.bool, device=DEVICE)  # [true name, other name]
        self.person = own.index("person")
        self.persons = torch.nonzero(includes[self.person]).flatten()  # "person" and all kinds of persons


# ---------------------------------------------------------------- measuring


class Validation:
    """Validation images and their possible names."""

    def __init__(self, opt, text, training, texts):
        from PIL import Image
        load = lambda rows: torch.from_numpy(np.stack([views.sized(views.square(Image.open(os.path.join(opt.data, r["path"]))), SIDE) for r in rows]))
        rows = views.records_of(opt.data, "val")
        self.sets, self.scenes = {}, None
        ask = lambda names: encode(text, ["a photo of a " + spoken(c) for c in names])
        for name, chosen in {"cifar10": [r for r in rows if r["source"] == "cifar10"][:2000],
                             "pictures": [r for r in rows if r["source"] not in ("cifar10", "scenes")]}.items():
            if chosen:
                names = CIFAR if name == "cifar10" else sorted({r["class"] for r in chosen})
                self.sets[name] = load(chosen), torch.tensor([names.index(r["class"]) for r in chosen]), ask(names)
        for name, (made, records) in training.unseen.items():
            pixels = self.small(made["pixels"])
            if name in OWN:
                first = [i for i, r in enumerate(made["record"]) if i == 0 or r != made["record"][i - 1]]  # the central square
                names = sorted({r["class"] for one in training.compared(name) for r in one.records})
                truth = torch.tensor([names.index(records[made["record"][i]]["class"]) for i in first])
                self.sets[name] = pixels[first], truth, ask(names)
            elif name == "photos":
                self.sets["teacher"] = pixels, made["logits"].float().argmax(1), texts.imagenet[0]
        scenes = [r for r in rows if r["source"] == "scenes"][:1000]
        if scenes and texts.long is not None:
            self.scenes = load(scenes), encode(text, [r["long"] for r in scenes])

    @staticmethod
    def small(pixels):
        x = F.interpolate(pixels.permute(0, 3, 1, 2).float(), (SIDE, SIDE), mode="bicubic", align_corners=False, antialias=True)
        return x.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)

    @torch.no_grad()
    def score(self, image):
        """The mean of top-1 of all sets, top-5 of those with many names, and R@1 of long captions; and a line that shows them."""
        image.eval()
        embed = lambda x: torch.cat([F.normalize(image(normalised(x[i:i + 250].to(DEVICE).permute(0, 3, 1, 2).float() / 255)), dim=1) for i in range(0, len(x), 250)])
        numbers, line = [], []
        for name, (pixels, truth, names) in self.sets.items():
            hit = (embed(pixels) @ names.T).topk(min(5, len(names)), 1).indices.cpu() == truth[:, None]
            one, five = hit[:, 0].float().mean().item(), hit.any(1).float().mean().item()
            numbers += [five] if name == "teacher" else [one, five] if name == "pictures" else [one]
            line.append(f"{name} ({len(truth)}) {one:.3f} {five:.3f}")
        if self.scenes:
            pixels, long = self.scenes
            found = ((embed(pixels) @ long.T).argmax(1).cpu() == torch.arange(len(pixels))).float().mean().item()
            numbers.append(found)
            line.append(f"scenes R@1 {found:.3f}")
        image.train()
        return sum(numbers) / max(1, len(numbers)), "; ".join(line)


# ---------------------------------------------------------------- training the image tower


def contrast(z, e, class_, scale, no_answer):
    """Contrastive loss in which all pairs of one class are positives, and those that `no_answer` marks don't count."""
    logits = (scale * z @ e.T).masked_fill(no_answer, -1e4)
    q = (class_[:, None] == class_[None]).float()
    q = q / q.sum(1, keepdim=True)
    return -0.5 * ((q * logits.log_softmax(1)).sum(1).mean() + (q * logits.T.log_softmax(1)).sum(1).mean())


def losses(z, scale, batch, texts, training, rng):
    s, out, template = scale.exp().clamp(max=100), {}, rng.integers(len(texts.own))
    names, prob, class_ = texts.own[template], batch["prob"], batch["class"]
    out["taught"] = F.kl_div((s * z[batch["taught"]] @ texts.imagenet[template].T).log_softmax(1), prob, reduction="batchmean")
    named = (class_ >= 0) & (class_ < len(names))
    unknown = torch.isin(batch["set"], torch.tensor([k for k, name in enumerate(training.sets) if name in PEOPLE], device=DEVICE))
    kind = torch.where(unknown, texts.person, class_)
    any_person = texts.persons[torch.from_numpy(rng.integers(0, len(texts.persons), int(unknown.sum()))).to(DEVICE)]
    answer = class_[named].clone()
    answer[unknown[named]] = torch.where(torch.rand(len(any_person), device=DEVICE) < 0.5, texts.person, any_person)
    others = texts.no_answer[kind[named]].scatter(1, answer[:, None], False)
    out["named"] = F.cross_entropy((s * z[named] @ names.T).masked_fill(others, -1e4), answer)
    own = []
    for k, name in enumerate(training.sets):
        if name in OWN:
            mine, classes = batch["set"] == k, torch.tensor(training.classes_of[name], device=DEVICE)
            truth = torch.searchsorted(classes, class_[mine].contiguous())
            own.append(F.cross_entropy(s * z[mine] @ names[classes].T, truth, label_smoothing=0.05))
    out["own"] = sum(own) / max(1, len(own))
    told = batch["caption"] >= 0
    told_class, single = class_[told], class_[told] < len(names)  # scenes don't have a single name
    unclear = False
    for row in (told_class, kind[told]):
        row = row.clamp(max=len(names) - 1)
        unclear |= texts.no_answer[row[:, None], row[None]]
    unclear &= single[:, None] & single[None] & (told_class[:, None] != told_class[None])
    out["told"] = contrast(z[told], texts.captions[batch["caption"][told]], told_class, s, unclear)
    if texts.long is not None:
        scenes = batch["set"] == list(training.sets).index("scenes")
        right = texts.long[batch["record"][scenes]]
        others = texts.long[torch.from_numpy(rng.integers(0, len(texts.long), BANK)).to(DEVICE)]
        truth = torch.arange(len(right), device=DEVICE)
        out["long"] = (F.cross_entropy(s * z[scenes] @ torch.cat([right, others]).T, truth) + F.cross_entropy(s * right @ z[scenes].T, truth)) / 2
    return out


@torch.no_grad()
def average(trained, start, validation):
    """The average of two trained towers, each with its temperature, that scores highest, and its temperature."""
    best = -1.0, None, None
    for share in SHARES:
        mixed = copy.deepcopy(trained[0])
        for m, a, b in zip(mixed.parameters(), trained[0].parameters(), start[0].parameters()):
            m.copy_(share * a + (1 - share) * b)
        score, line = validation.score(mixed)
        print(f"{share} of the weights, {1 - share:.1f} of the start | {line} | score {score:.4f}", flush=True)
        best = max(best, (score, mixed, share * trained[1] + (1 - share) * start[1]), key=lambda found: found[0])
    return best[1:]


def train_image(opt, step_name, start, minutes):
    """Trains the image tower of the file `start`. Returns the path of the averaged weights, in the format of `start`."""
    path = lambda end: os.path.join(opt.work, f"{step_name}-{end}")
    if os.path.exists(path("averaged.safetensors")):
        return path("averaged.safetensors")
    image, text, scale = towers.load(start)
    text.eval().requires_grad_(False)
    training = Training(opt)
    texts = Texts(opt, text, training)
    print(len(training.captions), "captions,", training.n_names, "names", flush=True)
    validation = Validation(opt, text, training, texts)
    scale = nn.Parameter(scale.to(DEVICE))
    params = [*image.parameters(), scale]
    steps, moving = optimizer(params, 0.05), copy.deepcopy(image)
    state = {"step": 0, "seconds": 0.0, "best": -1.0}
    if os.path.exists(path("state.pt")):
        saved = torch.load(path("state.pt"), map_location=DEVICE, weights_only=False)
        image.load_state_dict(saved["image"]), moving.load_state_dict(saved["average"]), steps.load_state_dict(saved["optimizer"])
        scale.data.copy_(saved["scale"])
        state = saved["state"]
        print(f"continues after step {state['step']}", flush=True)
    else:
        print("start |", *validation.score(image), flush=True)

    def keep(tag):
        score, line = validation.score(moving)
        towers.save_with_image(path("last.safetensors"), start, moving, scale)
        if score > state["best"]:
            state["best"] = score
            shutil.copyfile(path("last.safetensors"), path("best.safetensors"))
        print(f"{step_name} {tag} | {line} | score {score:.4f}{' best' if score == state['best'] else ''}", flush=True)

    def save_state():
        what = {"image": image.state_dict(), "average": moving.state_dict(), "optimizer": steps.state_dict(), "scale": scale.data, "state": state}
        torch.save(what, path("state.pt.part"))
        os.replace(path("state.pt.part"), path("state.pt"))

    tick = measured = saved_at = time.time()
    while clock(steps, opt.rate, done := share_done(opt, minutes, state["seconds"], state["step"])):
        batch = training.batch()
        with in_fast_dtype():
            z = image(batch["pixels"], PATCHES if done < LAST_PART else None)
        found = losses(F.normalize(z.float(), dim=1), scale, batch, texts, training, training.rng)
        steps.zero_grad()
        loss = sum(WEIGHTS[k] * v for k, v in found.items())
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        steps.step()
        with torch.no_grad():
            decay = min(AVERAGE, (1 + state["step"]) / (10 + state["step"]))
            for a, p in zip(moving.parameters(), image.parameters()):
                a.lerp_(p, 1 - decay)
        if state["step"] % opt.log_every == 0:
            print(f"{done:.1%} {step_name} step {state['step']} loss {loss.item():.3f}:", *(f"{k} {v:.3f}" for k, v in found.items()), f"scale {scale.exp():.1f}", flush=True)
        state["step"] += 1
        now = time.time()
        state["seconds"] += now - tick
        tick = now
        if now - measured > 60 * opt.measure:
            keep(f"{done:.0%}")
            measured = time.time()
        if now - saved_at > 60 * opt.save_every:
            save_state()
            saved_at = time.time()
    keep("done")
    (best, _, best_scale), (began, _, began_scale) = towers.load(path("best.safetensors")), towers.load(start)
    mixed, scale = average((best, best_scale), (began, began_scale), validation)
    towers.save_with_image(path("averaged.safetensors"), start, mixed, scale)
    return path("averaged.safetensors")


# ---------------------------------------------------------------- long captions, and packing


def pack(*arguments):
    subprocess.run([sys.executable, os.path.join(HERE, "..", "pack.py"), *arguments], check=True)


def long_data(opt):
    """Writes the samples of `longclip train`: scenes, photos of CIFAR-10 and all other images; validation scenes and photos."""
    rnd, files = random.Random(1), []
    train, val = views.records_of(opt.data, "train"), views.records_of(opt.data, "val")
    kept = lambda r: r["source"] in (*views.NAMED, *views.PHOTO_SETS) and views.is_for_validation(r["path"])
    of = lambda rows, source, n: [r for r in rows if r["source"] == source][:n]
    rnd.shuffle(train)
    rows = of(train, "scenes", 40_000) + of(train, "cifar10", 25_000) + [r for r in train if r["source"] not in ("scenes", "cifar10") and not kept(r)]
    nameless = [{k: v for k, v in r.items() if k != "class"} for r in of(val, "scenes", 1000)]  # names of scenes are not classes
    for name, found in (("train", rows), ("val", nameless + of(val, "cifar10", 1000))):
        files.append(os.path.join(opt.work, f"long-{name}.ndjson"))
        with open(files[-1], "w") as f:
            f.writelines(json.dumps(dict(r, path=os.path.abspath(os.path.join(opt.data, r["path"])))) + "\n" for r in found)
    return files


def train_long(opt, base):
    """Trains the text tower of a 77-position file on long captions. Returns the path of a packed file with 248 positions."""
    packed, out, run = (os.path.join(opt.work, n) for n in ("base-77.safetensors", "long.safetensors", "long"))
    if not os.path.exists(out):
        pack(base, packed)
        data, val = long_data(opt)
        scale, batch = str(load_file(packed)["logit_scale"].item()), str(opt.batch // 2)
        subprocess.run([opt.longclip, "train", "--base", packed, "--data", data, "--val-data", val, "--out", run, "--resume",
                        "--batch", batch, "--micro-batch", batch, "--steps", str(opt.long_steps), "--warmup", str(max(1, opt.long_steps // 16)), "--lr", "5e-4",
                        "--logit-scale", scale, "--freeze", "token_embedding,visual.", "--seed", "1", "--validate-every", str(max(1, opt.long_steps // 4))], check=True)
        pack(os.path.join(run, "best.safetensors"), out, "--table", packed)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="nano-data", help="the folder that prepare.py made")
    parser.add_argument("--cache", default="nano-cache", help="the folder where prepare.py keeps its packages")
    parser.add_argument("--work", default="nano-work")
    parser.add_argument("--out", required=True, help="the packed file to write")
    parser.add_argument("--start", help="weights of nano to start from, packed or not; without it, training is from scratch")
    parser.add_argument("--minutes", type=float, default=600, help="of training in all, without the sets and the long step")
    parser.add_argument("--steps", type=int, help="for trials: train each tower for this many batches, not for a time")
    parser.add_argument("--long-steps", type=int, default=800, help="steps of `longclip train`")
    parser.add_argument("--longclip", default=os.path.join(HERE, "../../../target/release/longclip"))
    parser.add_argument("--rate", type=float, default=5e-4, help="highest learning rate of the image tower")
    parser.add_argument("--measure", type=float, default=10, help="minutes between measurements")
    parser.add_argument("--save-every", type=float, default=2, help="minutes between states to continue from")
    parser.add_argument("--thin", type=int, default=1, help="for trials: use one text in this many for the words, one crop in this many, and fewer templates")
    parser.add_argument("--batch", type=int, default=sum(COUNTS.values()), help="images and texts in a batch")
    parser.add_argument("--log-every", type=int, default=50, help="steps between lines of losses")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    opt = parser.parse_args()
    torch.set_num_threads(opt.threads)
    torch.manual_seed(5)
    prepare.OPT = argparse.Namespace(cache=os.path.abspath(opt.cache), out=os.path.abspath(opt.data), seed=1)
    os.makedirs(opt.work, exist_ok=True)
    start, minutes = opt.start, opt.minutes
    if not start:
        start, minutes = os.path.join(opt.work, "words.safetensors"), 0.85 * minutes
        if not os.path.exists(start):
            share = lambda seconds, step: share_done(opt, opt.minutes - minutes, seconds, step)
            words.train(opt, start, share, clock, optimizer)
    if "positional_embedding_res" not in load_file(start):
        start, minutes = train_long(opt, train_image(opt, "base", start, 0.6 * minutes)), 0.4 * minutes
    pack(train_image(opt, "image", start, minutes), opt.out)


if __name__ == "__main__":
    main()
