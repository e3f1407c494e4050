"""Measures which changes of a photo `longclip search duplicates` still finds, and what it groups besides.

    python docs/scripts/near_duplicates.py LONGCLIP PHOTOS.tar.. --series SERIES.tar [--threshold X ..]

Changes every 15th photo of each PHOTOS.tar in several ways, and prints for each way and threshold the share of changed
photos whose cosine with the original reaches it. Of SERIES.tar, photos that are all different but many of which are series
of the same thing, it prints how many were grouped. Needs numpy and Pillow.
"""

import argparse
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

CHANGES = {
    "smaller: 3/4 of the width": lambda photo: photo.resize((photo.width * 3 // 4, photo.height * 3 // 4), Image.LANCZOS),
    "JPEG of quality 20": lambda photo: reread(photo, 20),
    "brighter by 20%": lambda photo: ImageEnhance.Brightness(photo).enhance(1.2),
    "cropped by 4% on each side": lambda photo: photo.crop(
        tuple(int(side * share) for side, share in zip(photo.size * 2, (0.04, 0.04, 0.96, 0.96)))
    ),
    "rotated by 3 degrees": lambda photo: photo.rotate(3, fillcolor=(255, 255, 255)),
    "grey": lambda photo: photo.convert("L"),
}


def reread(photo, quality):
    file = io.BytesIO()
    photo.save(file, "jpeg", quality=quality)
    return Image.open(file)


def photos(tars):
    for tar in tars:
        with tarfile.open(tar) as members:
            names = [member for member in members if member.name.endswith((".jpg", ".png"))]
            for member in names[::15]:
                yield Image.open(io.BytesIO(members.extractfile(member).read())).convert("RGB")


def embeddings(longclip, folder):
    """The embeddings of the images in a folder, unit length, by name."""
    command = [longclip, "embed", folder, "--normalize", "--format", "ndjson", "-q"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    records = map(json.loads, lines)
    return {Path(record["path"]).stem: np.array(record["embedding"]) for record in records}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longclip")
    parser.add_argument("tars", nargs="+")
    parser.add_argument("--series", required=True)
    parser.add_argument("--threshold", type=float, nargs="+", default=[0.95, 0.97, 0.98, 0.99])
    args = parser.parse_args()
    print("| change | photos |", " | ".join(f"{x:g}" for x in args.threshold), "|")
    print("| --- | ---: |", " | ".join("---:" for _ in args.threshold), "|")
    with tempfile.TemporaryDirectory() as folder:
        n = 0
        for n, photo in enumerate(photos(args.tars), 1):
            photo.save(f"{folder}/{n}-original.png")
            for number, change in enumerate(CHANGES.values()):
                change(photo).save(f"{folder}/{n}-{number}.png")
        rows = embeddings(args.longclip, folder)
    for number, name in enumerate(CHANGES):
        cosines = np.array([rows[f"{i}-original"] @ rows[f"{i}-{number}"] for i in range(1, n + 1)])
        shares = (f"{(cosines >= x).mean():.0%}" for x in args.threshold)
        print(f"| {name} | {n} |", " | ".join(shares), "|")
    grouped = []
    for x in args.threshold:
        command = [args.longclip, "search", "duplicates", args.series, "--threshold", str(x), "-f", "ndjson"]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        grouped.append(len(run.stdout.splitlines()))
    n_series = sum(member.name.endswith((".jpg", ".png")) for member in tarfile.open(args.series))
    print(f"| another photo of the same thing | {n_series} |", " | ".join(f"{n / n_series:.0%}" for n in grouped), "|")


if __name__ == "__main__":
    main()
