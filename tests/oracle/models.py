"""Compares models of random sizes, stored in the usual formats, with the reference's equations in PyTorch. See README.md."""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

import numpy as np
import torch
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image
from safetensors.torch import save_file
from torchvision import transforms as T

sys.path.insert(0, "../shared/reference")
import clip_reference as reference

IMAGES = ["img/cat.jpg", "img/coffee.jpg", "img/astronaut.jpg"]
TEXTS = ["a cat", "A photo of a dog, asleep on the red sofa.", "word " * 120, "The quick brown fox. " * 60]
BOUND = 1e-5  # for 1 - cosine and for probabilities


def token_rows():
    rows = [[49406, *SimpleTokenizer().encode(text), 49407] for text in TEXTS]
    rows = [row if len(row) <= 248 else [*row[:247], 49407] for row in rows]
    return torch.tensor([row + [0] * (248 - len(row)) for row in rows])


def draw(rnd):
    patch = rnd.choice([8, 14, 16, 32])
    config = dict(resolution=patch * rnd.randrange(2, 9), patch=patch, vision_width=64 * rnd.randrange(1, 7), vision_layers=rnd.randrange(1, 5), vocab=49408,
                  embed=rnd.choice([32, 96, 100, 256]), text_width=64 * rnd.randrange(1, 5), text_layers=rnd.randrange(1, 4))
    return config, rnd.choice([77, 248]), rnd.choice(["f32", "f16", "bf16"]), rnd.choice(["pt", "safetensors"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/release/longclip")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    opt = parser.parse_args()
    rnd, ids, n_wrong = random.Random(opt.seed), token_rows(), 0
    for _ in range(opt.count):
        config, rows, stored, kind = draw(rnd)
        dtype = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[stored]
        weights = {name: value.to(dtype).contiguous() for name, value in reference.weights(config, round_f16=False, rows=rows).items()}
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model." + kind)
            (torch.save if kind == "pt" else save_file)(weights, path)
            arguments = [argument for text in TEXTS for argument in ("--label", text)]
            said = subprocess.run([opt.binary, "classify", *IMAGES, *arguments, "--model", path, "--format", "ndjson", "--embeddings", "-q"], check=True, capture_output=True).stdout
        weights = {name: value.float() for name, value in weights.items()}
        if rows == 77:
            weights["positional_embedding"] = reference.stretch(weights["positional_embedding"])
        side = config["resolution"]
        prepare = T.Compose([T.Resize(side, T.InterpolationMode.BICUBIC), T.CenterCrop(side), T.ToTensor(), T.Normalize(reference.MEAN, reference.STD)])
        images = reference.encode_image(weights, config, torch.stack([prepare(Image.open(p)) for p in IMAGES]))
        exact = reference.scores(weights, images, reference.encode_text(weights, config, ids))["probabilities"]
        worst = 0.0
        for image, row, line in zip(images.double().numpy(), exact, said.splitlines(), strict=True):
            record = json.loads(line)
            found = np.array(record["embedding"])
            worst = max(worst, 1 - found @ image / np.linalg.norm(found) / np.linalg.norm(image))
            of = {answer["label"]: answer["probability"] for answer in record["labels"]}
            worst = max([worst, *(abs(of[text.strip()] - p) for text, p in zip(TEXTS, row, strict=True))])
        n_wrong += not worst <= BOUND
        print(f"{worst:.1e} {stored} {kind} {rows} rows {config}")
    print(f"{opt.count - n_wrong} of {opt.count} models within {BOUND}")
    sys.exit(n_wrong > 0)


if __name__ == "__main__":
    main()
