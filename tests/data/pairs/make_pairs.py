#!/usr/bin/env python3
"""Makes the files in this folder: one small set of images and captions in each format of published benchmarks.

    python3 tests/data/pairs/make_pairs.py        # from the root of the repository; needs Pillow

The images are those of img/ at 64 pixels; the captions are our own. The layouts follow COCO's captions_val2017.json, Flickr30k's
results_20130124.token and Kaggle's results.csv (including its line that lacks a bar), Karpathy's dataset_flickr30k.json, Urban1k's
folders and ShareGPT4V json.
"""
import json
import os

from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
IMG = os.path.join(HERE, "../../../img")
PICTURES = ["cat", "coffee", "astronaut"]
SHORT = {
    "cat": ["A cat looks into the camera .", "A tabby with its eyes wide open .", "A cat lies on a blanket .", "A close look at a cat .", "A pet with whiskers ."],
    "coffee": ["A cup of coffee on a table .", "Coffee in a red cup .", "A cup with a saucer and a spoon .", "Somebody is having a coffee .", "A drink on wood ."],
    "astronaut": ["An astronaut smiles .", "A woman in an orange suit .", "A portrait before a flag .", "A woman holds her helmet .", "An astronaut of the shuttle ."],
}
LONG = {
    "cat": "A cat looks straight into the camera. Its fur is brown and grey with dark stripes. Its eyes are wide open and green. Behind it is a light, blurred ground.",
    "coffee": "A cup of coffee stands on a wooden table. The cup is full and stands on a saucer. A spoon lies beside it.",
    "astronaut": "A woman in an orange space suit smiles at the viewer. She has short, wavy hair. Behind her are a flag and a model of a space shuttle.",
}


def write(path, text):
    path = os.path.join(HERE, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", newline="") as file:
        file.write(text)


def picture(name, path):
    path = os.path.join(HERE, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with Image.open(os.path.join(IMG, name + ".jpg")) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image.convert("RGB").crop((left, top, left + side, top + side)).resize((64, 64)).save(path, quality=80)


def coco():
    # Ids are not in the order of the file. The first image has six captions, of which upstream uses five.
    ids = {"cat": 397133, "coffee": 37777, "astronaut": 252219}
    images = [
        {"license": 4, "file_name": f"{ids[n]:012}.jpg", "coco_url": f"http://images.cocodataset.org/val2017/{ids[n]:012}.jpg",
         "height": 64, "width": 64, "date_captured": "2013-11-14 17:02:52", "id": ids[n]}
        for n in PICTURES
    ]
    captions = [(n, c) for i in range(5) for n in PICTURES for c in [SHORT[n][i]]] + [("cat", "A sixth caption .")]
    annotations = [{"image_id": ids[n], "id": 38 + i, "caption": c} for i, (n, c) in enumerate(captions)]
    info = {"description": "a small set", "version": "1.0", "year": 2017}
    data = {"info": info, "images": images, "licenses": [], "annotations": annotations}
    write("coco/annotations/captions_val2017.json", json.dumps(data))
    for n in PICTURES:
        picture(n, f"coco/val2017/{ids[n]:012}.jpg")


def flickr():
    names = {"cat": "1000092795.jpg", "coffee": "10002456.jpg", "astronaut": "2199200615.jpg"}
    write("flickr30k/results_20130124.token",
          "".join(f"{names[n]}#{i}\t{c}\n" for n in PICTURES for i, c in enumerate(SHORT[n])))
    table = "image_name| comment_number| comment\n"
    for n in PICTURES:
        for i, c in enumerate(SHORT[n]):
            broken = (n, i) == ("astronaut", 4)
            table += f"{names[n]}| {i}   {c}\n" if broken else f"{names[n]}| {i}| {c}\n"
    write("flickr30k/results.csv", table)
    splits = {"cat": "test", "coffee": "train", "astronaut": "test"}
    images = [
        {"sentids": list(range(5 * k, 5 * k + 5)), "imgid": k,
         "sentences": [{"tokens": c.lower().split()[:-1], "raw": c, "imgid": k, "sentid": 5 * k + i} for i, c in enumerate(SHORT[n])],
         "split": splits[n], "filename": names[n]}
        for k, n in enumerate(PICTURES)
    ]
    write("flickr30k/dataset_flickr30k.json", json.dumps({"images": images, "dataset": "flickr30k"}))
    for n in PICTURES:
        picture(n, f"flickr30k/flickr30k-images/{names[n]}")


def urban1k():
    for i, n in enumerate(PICTURES):
        write(f"Urban1k/caption/{i + 1}.txt", LONG[n] + ("\nA second line, which upstream doesn't read.\n" if n == "cat" else ""))
        picture(n, f"Urban1k/image/{i + 1}.jpg")


def sharegpt4v():
    records = [
        {"id": str(i + 1), "image": f"Urban1k/image/{i + 1}.jpg",
         "conversations": [{"from": "human", "value": "What do you see in this picture?\n<image>"}, {"from": "gpt", "value": LONG[n].replace(". ", ".\n", 1)}]}
        for i, n in enumerate(PICTURES)
    ]
    write("share-captioner.json", json.dumps(records))


def records():
    lines = [{"path": f"Urban1k/image/{i + 1}.jpg", "text": [LONG[n], *SHORT[n][:i]], "short": SHORT[n][0]} for i, n in enumerate(PICTURES)]
    write("pairs.ndjson", "".join(json.dumps(line) + "\n" for line in lines))


coco()
flickr()
urban1k()
sharegpt4v()
records()
