"""Makes the JPEGs of this folder, and goldens.json: what Pillow's `Image.draft` decodes them and others to.

    python3 -m venv venv && venv/bin/pip install pillow==13.0.0
    venv/bin/python tests/data/preprocess/reduced/make.py     # from the repository's root

The JPEGs are a part of img/coffee.jpg with odd sides. Pillow writes three kinds of chroma sampling; two others are made by
writing other factors and sides into the header, which keeps the number of blocks and scrambles the photo.
"""

import hashlib
import json
import struct
from pathlib import Path

from PIL import Image

HERE = Path("tests/data/preprocess/reduced")
OTHERS = """rgb-401x267-q50.jpg rgb-451x300-q85-progressive.jpg grey-451x300-q85.jpg cmyk-300x200-q95.jpg
    jpeg-420-5x3.jpg jpeg-422-75x50.jpg jpeg-grey-restarts-80x60.jpg jpeg-restarts-progressive-90x71.jpg
    exif-5-240x160.jpg jpeg-lost-segment.jpg""".split()
PHOTO = Image.open("img/coffee.jpg").convert("RGB").crop((60, 40, 340, 253)).resize((93, 71), Image.Resampling.BICUBIC)
SOF0 = b"\xff\xc0\x00\x11\x08"


def save(name, **options):
    PHOTO.save(HERE / name, quality=80, **options)


def resample(source, name, sampling, size):
    """Writes the luma's sampling factors and the image's sides into the frame header."""
    data = bytearray((HERE / source).read_bytes())
    at = data.index(SOF0) + len(SOF0)
    data[at : at + 4] = struct.pack(">HH", size[1], size[0])
    data[at + 6] = sampling
    (HERE / name).write_bytes(data)


def draft(path, scale):
    """The mode, size and hash of the pixels at this scale; None if Pillow chooses another one."""
    image = Image.open(path)
    width, height = image.size
    image.draft(None, (max(width // scale, 1), max(height // scale, 1)))
    if image.size != (-(-width // scale), -(-height // scale)):
        return None
    sha256 = hashlib.sha256(image.tobytes()).hexdigest()
    path = path.relative_to(HERE.parent).as_posix()
    return {"file": path, "scale": scale, "mode": image.mode, "size": image.size, "sha256": sha256}


for kind in ["444", "422", "420"]:
    save(f"{kind}-93x71.jpg", subsampling=":".join(kind))
save("420-progressive-93x71.jpg", subsampling="4:2:0", progressive=True)
resample("422-93x71.jpg", "440-71x93.jpg", 0x12, (71, 93))
resample("420-93x71.jpg", "411-189x40.jpg", 0x41, (189, 40))
files = sorted(HERE.glob("*.jpg")) + [HERE.parent / name for name in OTHERS]
goldens = [draft(file, scale) for file in files for scale in (2, 4, 8)]
lines = ",\n".join(json.dumps(golden) for golden in goldens if golden)
(HERE / "goldens.json").write_text(f"[\n{lines}\n]\n")
