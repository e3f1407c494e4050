#!/usr/bin/env python3
"""The samples that nano learns long captions from, with `longclip train`.

    venv/bin/python long_data.py --data nano-data --work nano-work

Writes `nano-work/long-train.ndjson`: scenes, CIFAR-10's photos, drawings, and crops of the few large photos there are (in
`nano-work/crops`), so that what is known of such photos is not unlearnt. Crops have the photo's caption without what it
says of places in the picture. Writes `nano-work/long-val.ndjson` too: the first 1,000 scenes and the first 1,000 of CIFAR-10's
test pictures; with these the best weights are chosen, on all others of `val.ndjson` they are measured. Needs Pillow.
"""
import argparse
import json
import os
import random
import re

from PIL import Image

from views import photos

N_SCENES, N_CIFAR, N_VAL = 40_000, 15_000, 1_000
SIDE = 128  # pixels of a crop
PLACES = re.compile(r"\b(left|right|top|bottom|corner|middle|centre|center|side|behind)\b")


def records(data, name):
    for record in map(json.loads, open(os.path.join(data, name + ".ndjson"))):
        yield dict(record, path=os.path.abspath(os.path.join(data, record["path"])))


def without_places(caption):
    first, *others = caption.split(". ")
    return ". ".join([first, *(sentence for sentence in others if not PLACES.search(sentence))])


def crop(picture, smallest, rnd):
    """A part of at least that share of the picture, as a square."""
    share, ratio = rnd.uniform(smallest, 1), rnd.uniform(3 / 4, 4 / 3)
    width = min(picture.width, round((picture.width * picture.height * share * ratio) ** 0.5))
    height = min(picture.height, round((picture.width * picture.height * share / ratio) ** 0.5))
    left, top = rnd.randint(0, picture.width - width), rnd.randint(0, picture.height - height)
    part = picture.crop((left, top, left + width, top + height)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rnd.random() < 0.5 else part


def crops(opt, by_path, rnd):
    folder = os.path.join(opt.work, "crops")
    os.makedirs(folder, exist_ok=True)
    for i, (path, count, smallest) in enumerate(photos(opt.data)):
        record = by_path.get(os.path.abspath(os.path.join(opt.data, path)))
        if record is None:
            continue  # of the validation set
        picture = Image.open(record["path"]).convert("RGB")
        long = without_places(record["long"])
        for n in range(count):
            to = os.path.abspath(os.path.join(folder, f"{i:04}-{n:02}.jpg"))
            crop(picture, max(smallest, 0.25), rnd).save(to, quality=90)
            yield dict(record, path=to, long=long)


def main(opt):
    rnd = random.Random(1)
    train, val = list(records(opt.data, "train")), list(records(opt.data, "val"))
    by_source = lambda rows, source: [record for record in rows if record["source"] == source]
    scenes, cifar = by_source(train, "scenes"), by_source(train, "cifar10")
    others = [record for record in train if record["source"] not in ("scenes", "cifar10")]
    rows = rnd.sample(scenes, min(N_SCENES, len(scenes))) + rnd.sample(cifar, min(N_CIFAR, len(cifar))) + others
    rows += crops(opt, {record["path"]: record for record in others}, rnd)
    # The names of scenes are no classes to choose from.
    chosen_by = [{k: v for k, v in record.items() if k != "class"} for record in by_source(val, "scenes")[:N_VAL]]
    chosen_by += by_source(val, "cifar10")[:N_VAL]
    for name, found in (("long-train", rows), ("long-val", chosen_by)):
        with open(os.path.join(opt.work, name + ".ndjson"), "w") as file:
            file.writelines(json.dumps(record) + "\n" for record in found)
        print(f"{name}: {len(found)} samples")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--work", required=True)
    main(parser.parse_args())
