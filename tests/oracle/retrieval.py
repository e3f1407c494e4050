"""Compares R@k and monotonicity on random images and captions with CLIP_benchmark's formulas in PyTorch. See README.md.

The images are crops of those in img/. Each has one to six generated captions; some are shared by several images, and some are too long
for the model. The embeddings come from `longclip embed`, so this checks only what is computed from them.
"""
import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image

IMG = ["img/cat.jpg", "img/coffee.jpg", "img/astronaut.jpg"]
WORDS = "a the red small old cat dog cup table woman suit spoon sleeps stands smiles near on behind two green light".split()


def sentence(rnd):
    return " ".join(rnd.choice(WORDS) for _ in range(rnd.randrange(2, 9))).capitalize() + "."


def caption(rnd):
    return " ".join(sentence(rnd) for _ in range(rnd.choice([1, 1, 2, 3, 5, 60])))


def draw(rnd, folder):
    common = [caption(rnd) for _ in range(3)]
    records = []
    for i in range(rnd.randrange(12, 40)):
        with Image.open(rnd.choice(IMG)) as image:
            side = rnd.randrange(40, 200)
            left, top = rnd.randrange(image.width - side), rnd.randrange(image.height - side)
            image.crop((left, top, left + side, top + side)).save(os.path.join(folder, f"{i}.png"))
        captions = [rnd.choice(common) if rnd.random() < 0.2 else caption(rnd) for _ in range(rnd.randrange(1, 7))]
        records.append({"path": f"{i}.png", "text": captions})
    with open(os.path.join(folder, "pairs.ndjson"), "w") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    return records


def longclip(opt, *arguments):
    return subprocess.run([opt.binary, *arguments, "--model", opt.model, "-q"], check=True, capture_output=True, text=True).stdout


def embed(opt, *arguments):
    rows = [json.loads(line)["embedding"] for line in longclip(opt, "embed", *arguments, "--normalize", "--format", "ndjson").splitlines()]
    return torch.tensor(rows, dtype=torch.float64)


def embed_texts(opt, folder, texts):
    path = os.path.join(folder, "texts.txt")
    with open(path, "w") as file:
        file.write("\n".join(texts) + "\n")
    return embed(opt, "--texts-file", path)


def recalls(scores, owner, ks=(1, 5, 10)):
    """As in clip_benchmark/metrics/zeroshot_retrieval.py: whether a positive is among the first k. `scores` is (texts, images)."""
    positive = torch.zeros_like(scores, dtype=torch.bool)
    positive[torch.arange(len(scores)), owner] = True
    found = {}
    for k in ks:
        for key, s, p in [("image", scores, positive), ("text", scores.T, positive.T)]:
            # Stable, so that of equal scores the earlier one comes first. `topk` does not guarantee an order.
            first = torch.argsort(s, dim=1, descending=True, stable=True)[:, :k]
            found[f"{key}_retrieval_recall@{k}"] = p.gather(1, first).any(dim=1).double().mean().item()
    return found


def ranks(values):
    values = np.asarray(values)
    return np.array([(values < v).sum() + ((values == v).sum() - 1) / 2 for v in values])


def monotonicity(opt, folder, records, images, context):
    beginnings, owners = [], []
    for i, record in enumerate(records):
        for text in record["text"]:
            sentences = re.findall(r"[^.]+\.", text)
            whole = ["".join(sentences[:n]) for n in range(1, len(sentences) + 1)]
            counts = [json.loads(line)["count"] for line in longclip_tokens(opt, whole)]
            fitting = [t for t, count in zip(whole, counts) if count <= context]
            if len(fitting) > 1:
                beginnings.append(fitting)
                owners.append(i)
    rows = iter(embed_texts(opt, folder, [t for b in beginnings for t in b]))
    always, n_rises, n_added, correlations = 0, 0, 0, []
    for owner, texts in zip(owners, beginnings):
        scores = [float(next(rows) @ images[owner]) for _ in texts]
        rises = sum(b > a for a, b in zip(scores, scores[1:]))
        always += rises == len(scores) - 1
        n_rises, n_added = n_rises + rises, n_added + len(scores) - 1
        correlations.append(np.corrcoef(np.arange(len(scores)), ranks(scores))[0, 1])
    return {"captions": always / len(owners), "sentences": n_rises / n_added, "spearman": float(np.mean(correlations))}


def longclip_tokens(opt, texts):
    out = subprocess.run([opt.binary, "tokens", "--format", "json", "--", *texts], check=True, capture_output=True, text=True).stdout
    return [json.dumps(record) for record in json.loads(out)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/release/longclip")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5)
    opt = parser.parse_args()
    rnd, n_wrong = random.Random(opt.seed), 0
    for _ in range(opt.count):
        with tempfile.TemporaryDirectory() as folder:
            records = draw(rnd, folder)
            said = json.loads(longclip(opt, "eval", "retrieval", "--data", os.path.join(folder, "pairs.ndjson"), "--monotone", "--format", "json"))
            images = embed(opt, *(os.path.join(folder, record["path"]) for record in records))
            texts = embed_texts(opt, folder, [text for record in records for text in record["text"]])
            owner = torch.tensor([i for i, record in enumerate(records) for _ in record["text"]])
            # In f32, so that equal rows have equal scores.
            expected = recalls((texts @ images.T).float(), owner)
            expected.update(monotonicity(opt, folder, records, images, said["protocol"]["context_length"]))
            found = {**said["metrics"], **{key: said["monotonicity"][key] for key in ("captions", "sentences", "spearman")}}
        differences = {key: (found[key], value) for key, value in expected.items() if abs(found[key] - value) > 1e-9}
        n_wrong += bool(differences)
        print(f"{len(records)} images, {len(owner)} captions: {differences or 'equal'}")
    print(f"{opt.count - n_wrong} of {opt.count} sets equal")
    sys.exit(n_wrong > 0)


if __name__ == "__main__":
    main()
