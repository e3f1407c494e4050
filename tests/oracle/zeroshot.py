"""Compares zero-shot metrics of random data sets with scikit-learn and PyTorch, by CLIP_benchmark's formulas. See README.md.

Images of the repository are put into folders of random classes, some of them empty, and classified with random templates. The
embeddings come from `longclip embed`; the metrics are computed here independently of the program. Needs scikit-learn in addition to
the packages in README.md.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

WORDS = "cat dog coffee astronaut noise sky tree car letter stone".split()
TEMPLATES = ["a photo of a {}.", "{}", "a drawing of the {}.", "itap of my {}."]
BINS = 15


def embed(binary, arguments):
    command = [binary, "embed", "--model", "nano", "--normalize", "-q", *arguments]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return np.array([json.loads(line)["embedding"] for line in lines])


def logit_scale(binary):
    command = [binary, "classify", "img/cat.jpg", "--labels", "a cat", "--model", "nano", "--format", "ndjson", "-q"]
    label = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["labels"][0]
    return label["logit"] / label["cosine"]


def classifier(binary, classes, templates):
    """The mean direction of each class's prompts, as in CLIP_benchmark's `zero_shot_classifier`."""
    rows = []
    for name in classes:
        prompts = list(dict.fromkeys(template.replace("{}", name) for template in templates))
        mean = embed(binary, [a for prompt in prompts for a in ("--text", prompt)]).mean(axis=0)
        rows.append(mean / np.linalg.norm(mean))
    return np.array(rows)


def measures(logits, target, n_classes):
    """CLIP_benchmark's `accuracy` and scikit-learn's balanced accuracy; the calibration error of Guo et al. (2017)."""
    logits, target = torch.from_numpy(logits), torch.from_numpy(target)
    found = {}
    for k in (1, 5):
        if k <= n_classes and (k == 1 or n_classes >= 5):
            hits = logits.topk(k, 1, True, True)[1].t().eq(target.view(1, -1).expand(k, -1))
            found[f"acc{k}"] = hits.float().sum().item() / len(target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for classes without images
        found["mean_per_class_recall"] = balanced_accuracy_score(target, logits.argmax(1))
    confidence, predicted = logits.softmax(1).max(1)
    edges = torch.linspace(0, 1, BINS + 1, dtype=torch.float64)
    error = 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            right = (predicted == target)[inside].double().mean()
            error += inside.double().mean().item() * abs(right - confidence[inside].mean()).item()
    return {**found, "expected_calibration_error": error}


def draw(rnd, pool, folder):
    """Makes class folders with random images; returns the classes in the program's order."""
    classes = sorted(rnd.sample(WORDS, rnd.randrange(2, len(WORDS) + 1)))
    for name in classes:
        os.mkdir(os.path.join(folder, name))
    for i, image in enumerate(rnd.sample(pool, rnd.randrange(1, len(pool) + 1))):
        shutil.copy(image, os.path.join(folder, rnd.choice(classes), f"{i:03}-{os.path.basename(image)}"))
    return classes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/release/longclip")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    opt = parser.parse_args()
    pool = sorted(os.path.join(d, f) for d in ("img", "tests/data/preprocess") for f in os.listdir(d) if f.endswith((".jpg", ".png", ".webp")))
    scale = logit_scale(opt.binary)
    rnd, n_wrong = random.Random(opt.seed), 0
    for i in range(opt.count):
        with tempfile.TemporaryDirectory() as folder:
            classes = draw(rnd, pool, folder)
            templates = rnd.sample(TEMPLATES, rnd.randrange(1, len(TEMPLATES) + 1))
            flags = [a for template in templates for a in ("--template", template)]
            command = [opt.binary, "eval", "zeroshot", "--model", "nano", "--data", folder, "--format", "json", "-q", *flags]
            reported = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            images = [os.path.join(folder, name, f) for name in classes for f in sorted(os.listdir(os.path.join(folder, name)))]
            target = np.array([classes.index(image.split(os.sep)[-2]) for image in images])
            logits = scale * embed(opt.binary, images) @ classifier(opt.binary, classes, templates).T
        expected = measures(logits, target, len(classes))
        found = {key: value for key, value in reported["metrics"].items() if value is not None}
        differing = {key for key in expected.keys() | found.keys() if abs(expected.get(key, 9) - found.get(key, 9)) > 1e-5}
        confusion = confusion_matrix(target, logits.argmax(1), labels=range(len(classes)))
        pairs = {(classes[a], classes[b]): n for (a, b), n in np.ndenumerate(confusion) if a != b and n}
        if differing or any(pairs[c["class"], c["predicted"]] != c["n"] for c in reported["confusions"]):
            n_wrong += 1
            print(f"case {i}: {sorted(differing)}: {found}, expected {expected}")
    print(f"{opt.count - n_wrong} of {opt.count} data sets have the same metrics")
    sys.exit(n_wrong > 0)


if __name__ == "__main__":
    main()
