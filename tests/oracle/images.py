"""Compares the pixels of random images with Pillow and torchvision, in each format and mode that both read. See README.md.

Palette and 16-bit images are deliberately left out, because the reference degrades them (docs/fidelity.md).
"""
import argparse
import collections
import glob
import os
import random
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image
from torchvision import transforms as T

RESOLUTION = 224
CROP = T.Compose([T.Resize(RESOLUTION, T.InterpolationMode.BICUBIC), T.CenterCrop(RESOLUTION), lambda i: i.convert("RGB")])
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}
MODES = {"jpg": ["RGB", "RGB", "L", "CMYK"], "png": ["L", "LA", "RGB", "RGBA"], "webp": ["RGB", "RGBA"], "bmp": ["RGB", "L"], "tiff": ["RGB", "L", "RGBA"], "gif": ["L"]}


def draw(rnd, rng, mode):
    """Noise or smooth blobs, with sides from 1 to about 1,200 pixels."""
    width, height = (int(2 ** rnd.uniform(0, 10.3)) for _ in range(2))
    if max(width, height) > 60 * min(width, height):
        height = max(1, width // rnd.randrange(1, 20))
    if rnd.random() < 0.4:
        values = rng.integers(0, 256, (height, width, CHANNELS[mode])).astype(np.uint8)
    else:
        blob = int(rnd.uniform(1, 30))
        small = rng.integers(0, 256, (height // blob + 2, width // blob + 2, CHANNELS[mode])).astype(np.uint8)
        grown = [np.asarray(Image.fromarray(small[..., i]).resize((width, height), Image.BICUBIC)) for i in range(CHANNELS[mode])]
        values = np.stack(grown, -1)
    return Image.fromarray(values[..., 0] if CHANNELS[mode] == 1 else values, mode)


def saving(rnd, kind):
    if kind == "jpg":
        options = dict(quality=rnd.randrange(1, 101), progressive=rnd.random() < 0.4, subsampling=rnd.choice([0, 1, 2]), optimize=rnd.random() < 0.3)
        return {**options, "restart_marker_blocks": rnd.choice([0, 0, 0, 1, 7, 19])}
    if kind == "webp":
        return rnd.choice([dict(lossless=True), dict(quality=rnd.randrange(1, 101))])
    return dict(compression=rnd.choice([None, "tiff_lzw", "tiff_deflate", "packbits"])) if kind == "tiff" else {}


def saved(image, path, options):
    """Whether Pillow could save the image: its buffer is too small for some tiny noisy ones."""
    try:
        image.save(path, **options)
    except OSError:
        return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", help="binary of the preprocess bench; the newest by default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200)
    opt = parser.parse_args()
    built = [path for path in glob.glob("target/release/deps/preprocess-*") if not path.endswith(".d")]
    binary = opt.binary or max(built, key=os.path.getmtime, default="(run cargo bench --bench preprocess --no-run first)")
    rnd, rng, seen, n_wrong = random.Random(opt.seed), np.random.default_rng(opt.seed), collections.defaultdict(collections.Counter), 0
    with tempfile.TemporaryDirectory() as folder:
        for i in range(opt.count):
            kind = rnd.choice(["jpg"] * 5 + ["png", "webp", "webp", "bmp", "tiff", "gif"])
            mode = rnd.choice(MODES[kind])
            path, pixels = os.path.join(folder, f"{i}.{kind}"), os.path.join(folder, "pixels")
            options = saving(rnd, kind)
            while not saved(draw(rnd, rng, mode), path, options):
                pass
            subprocess.run([binary, f"{path}={pixels}"], check=True, capture_output=True)
            image = Image.open(path)
            exact = np.asarray(CROP(image.convert("RGB") if image.mode in ("P", "1") else image)).reshape(-1).astype(int)
            difference = int(np.abs(exact - np.fromfile(pixels, np.uint8)).max())
            seen[kind, mode][difference] += 1
            if difference:
                n_wrong += 1
                print(f"differs by {difference}: {kind} {mode} {image.size} {options}")
    for (kind, mode), counts in sorted(seen.items()):
        print(f"{kind} {mode}: {counts[0]} of {counts.total()} equal to the bit, largest difference {max(counts)}")
    print(f"{opt.count - n_wrong} of {opt.count} images are equal to the bit")
    sys.exit(n_wrong > 0)


if __name__ == "__main__":
    main()
