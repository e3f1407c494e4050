"""Times preprocessing against Pillow and torchvision, in turn on the same files, and compares the pixels.

    python3 -m venv venv && venv/bin/pip install pillow==13.0.0 torchvision
    venv/bin/python benches/peers/preprocess.py [JSON]     # from the repository's root; builds the bench first

Makes two jpegs of a photo in img/ (4000x3000 with some noise, 640x480; quality 85) and a png, then alternates ROUNDS times between
`cargo bench --bench preprocess` and upstream's transform, and prints the medians in milliseconds and their ratio. `fast` is ours
with `--fast-decode`, whose pixels are not compared.
"""
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torchvision import transforms as T

torch.set_num_threads(1)  # Like ours: one thread. More only cost time on a crop of 224.
ROUNDS, RESOLUTION = 7, 224
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
CROP = T.Compose([T.Resize(RESOLUTION, T.InterpolationMode.BICUBIC), T.CenterCrop(RESOLUTION), lambda i: i.convert("RGB")])
TRANSFORM = T.Compose([CROP, T.ToTensor(), T.Normalize(MEAN, STD)])


def make_pictures(folder):
    photo = Image.open("img/coffee.jpg")
    big = np.asarray(photo.resize((4000, 3000), Image.BICUBIC)).astype(np.int16)
    big += np.random.default_rng(1).normal(0, 6, big.shape).astype(np.int16)
    big = Image.fromarray(big.clip(0, 255).astype(np.uint8))
    small = big.resize((640, 480), Image.BICUBIC)
    files = [folder / "4000x3000.jpg", folder / "640x480.jpg", folder / "640x480.png"]
    for picture, file in zip((big, small, small), files):
        picture.save(file, quality=85)
    return files


def bench_binary():
    command = ["cargo", "bench", "--bench", "preprocess", "--no-run"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    return said.rsplit("(", 1)[1].split(")", 1)[0]


def theirs(file):
    data = file.read_bytes()
    start = time.perf_counter()
    picture = Image.open(io.BytesIO(data))
    picture.load()
    decoded = time.perf_counter()
    TRANSFORM(picture)
    return (time.perf_counter() - start) * 1e3, (decoded - start) * 1e3


def main():
    binary = bench_binary()
    results = []
    print(f"Pillow {PIL.__version__}, torchvision {torchvision.__version__}, {ROUNDS} rounds; ms: whole (decoding)")
    with tempfile.TemporaryDirectory() as folder:
        for file in make_pictures(Path(folder)):
            ours, peers = [], []
            for _ in range(ROUNDS):
                pixels = Path(folder) / "pixels"
                line = subprocess.run([binary, f"{file}={pixels}"], check=True, capture_output=True, text=True).stdout
                ours.append(tuple(map(float, line.split()[1:])))
                of_round = [theirs(file) for _ in range(9)]
                peers.append(tuple(map(median, zip(*of_round))))
            difference = np.abs(np.fromfile(pixels, np.uint8).astype(int) - np.asarray(CROP(Image.open(file))).reshape(-1))
            (o, od, fast, fast_decoding), (p, pd) = (tuple(map(median, zip(*t))) for t in (ours, peers))
            ratio = median(b[0] / a[0] for a, b in zip(ours, peers))
            print(f"{file.name}: longclip {o:.1f} ({od:.1f}), fast {fast:.1f} ({fast_decoding:.1f}), Pillow + torchvision {p:.1f} ({pd:.1f}), {ratio:.2f}x; "
                  f"pixels differ by {difference.max()} at most, {difference.mean():.3f} on average")
            results.append({"file": file.name, "ms": o, "fast_ms": fast, "peer_ms": p, "times_as_fast": ratio, "difference": int(difference.max())})
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(json.dumps(results, indent=1))


main()
