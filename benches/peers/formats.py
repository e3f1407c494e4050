"""Times the decoder of each image format against Pillow's, in turn on the same files, and compares the pixels.

    python3 -m venv venv && venv/bin/pip install pillow==13.0.0 pillow_heif==1.8.1 pillow-jxl-plugin==1.3.8 numpy
    venv/bin/python benches/peers/formats.py [--features avif]     # from the repository's root; builds the bench first
    venv/bin/python benches/peers/formats.py --bench FILE          # one that is built

Makes files of a photo in img/, 1600x1200 with some noise, in each format, then alternates ROUNDS times between
`cargo bench --bench preprocess` and Pillow. Prints medians of CPU milliseconds: decoding alone, then the whole way to
normalised 224x224 pixels. CPU time is used so that other work on the machine matters less. `--features` is passed to cargo. A raw photo is compared with the preview inside it.
"""
import io
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import PIL
import pillow_heif
import pillow_jxl  # noqa: F401
from PIL import Image

pillow_heif.register_heif_opener()
ROUNDS, RESOLUTION, SIZE = 2, 224, (1600, 1200)


def photo():
    pixels = np.asarray(Image.open("img/coffee.jpg").resize(SIZE, Image.BICUBIC)).astype(np.int16)
    pixels += np.random.default_rng(1).normal(0, 6, pixels.shape).astype(np.int16)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def raw(jpeg):
    """A DNG whose only directory says nothing but its version, with a preview after it."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 50706, 1, 4, 0x401, 0) + jpeg


def make_files(folder):
    picture = photo()
    options = {
        "jpg": {"quality": 85}, "png": {}, "webp": {"quality": 85}, "gif": {}, "bmp": {},
        "tif": {"compression": "tiff_adobe_deflate"}, "heic": {"quality": 60}, "jxl": {"quality": 85},
        "avif": {"quality": 70, "speed": 8, "max_threads": 1},
    }
    for ending, how in options.items():
        picture.save(folder / f"photo.{ending}", **how)
    picture.save(folder / "lossless.webp", lossless=True)
    picture.save(folder / "lossless.jxl", lossless=True, effort=3)
    (folder / "photo.dng").write_bytes(raw((folder / "photo.jpg").read_bytes()))
    return sorted(folder.iterdir())


def bench_binary(arguments):
    if arguments[:1] == ["--bench"]:
        return arguments[1]
    command = ["cargo", "bench", "--bench", "preprocess", "--no-run", *arguments]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    return said.rsplit("(", 1)[1].split(")", 1)[0]


def theirs(data):
    start = time.process_time()
    picture = Image.open(io.BytesIO(data))
    picture.load()
    decoded = time.process_time()
    # As torchvision: the short side to 224 by Pillow, then the centre.
    width, height = picture.size
    short = min(width, height)
    rgb = picture.convert("RGB").resize((RESOLUTION * width // short, RESOLUTION * height // short), Image.BICUBIC)
    left, top = (round((side - RESOLUTION) / 2) for side in rgb.size)
    rgb = np.asarray(rgb.crop((left, top, left + RESOLUTION, top + RESOLUTION)))
    return (decoded - start) * 1e3, (time.process_time() - start) * 1e3, rgb


def main():
    binary = bench_binary(sys.argv[1:])
    print(f"Pillow {PIL.__version__}, {SIZE[0]}x{SIZE[1]}, {ROUNDS} rounds; CPU ms, decoding and whole")
    print("| file | kB | decoding | Pillow | whole | Pillow | largest difference of a pixel |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for file in make_files(Path(folder)):
            data, pixels = file.read_bytes(), Path(folder).parent / f"{Path(folder).name}.pixels"
            of_pillow = (Path(folder) / "photo.jpg").read_bytes() if file.suffix == ".dng" else data
            ours, peers = [], []
            for _ in range(ROUNDS):
                run = subprocess.run([binary, "--cpu", f"{file}={pixels}"], capture_output=True, text=True)
                if run.returncode:
                    break
                whole, decoding = map(float, run.stdout.split()[1:3])
                ours.append((decoding, whole))
                of_round = [theirs(of_pillow) for _ in range(5)]
                peers.append(tuple(map(median, list(zip(*of_round))[:2])))
            if not ours:
                print(f"| {file.name} | {len(data) / 1e3:.0f} | not read |", flush=True)
                continue
            difference = np.abs(np.fromfile(pixels, np.uint8).astype(int) - of_round[-1][2].reshape(-1))
            pixels.unlink()
            (decoding, whole), (their_decoding, their_whole) = (tuple(map(median, zip(*times))) for times in (ours, peers))
            print(f"| {file.name} | {len(data) / 1e3:.0f} | {decoding:.1f} | {their_decoding:.1f} | {whole:.1f} | {their_whole:.1f} "
                  f"| {difference.max()} |", flush=True)


if __name__ == "__main__":
    main()
