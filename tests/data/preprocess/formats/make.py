"""Writes the images of this folder, and goldens.json with what Pillow reads of them.

    pip install pillow==13.0.0 pillow_heif==1.8.1 pillow-jxl-plugin==1.3.8 tifffile==2026.3.3 imagecodecs==2026.3.6 numpy
    python tests/data/preprocess/formats/make.py

A golden is a square of the image in 8-bit RGB. Images are as high as the golden's size and at least as wide, so nothing is
resized.
"""
import hashlib
import json
import lzma
import random
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401
import tifffile
from PIL import Image, ImageOps

pillow_heif.register_heif_opener()
HERE = Path(__file__).parent
ROOT = HERE.parents[3]
photo = Image.open(ROOT / "img/cat.jpg").convert("RGB").crop((120, 60, 280, 180))
square = photo.resize((48, 48), Image.Resampling.BICUBIC)
odd = photo.resize((47, 33), Image.Resampling.BICUBIC)
even = photo.resize((46, 32), Image.Resampling.BICUBIC)
grey = square.convert("L")
alpha = Image.fromarray(np.add.outer(np.arange(48), np.arange(48)).astype(np.uint8) * 2 + 60)
g = np.array(grey)


def heif(name, image, **options):
    pillow_heif.from_pillow(image).save(HERE / name, quality=60, **options)


def with_orientation(image, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    image = image.copy()
    image.info["exif"] = exif.tobytes()
    return image


def clear(image):
    out = image.copy()
    out.putalpha(alpha)
    return out


heif("rgb.heic", square)
heif("rgb-odd.heic", odd)
heif("grey.heic", grey)
heif("alpha.heic", clear(square))
heif("limited-709.heic", square, matrix_coefficients=1, full_range_flag=0)
for orientation in range(2, 9):
    # libheif turns chroma before it is repeated, which is the same if sides are even.
    stored = even if orientation < 5 else even.transpose(Image.Transpose.ROTATE_90)
    heif(f"turned-{orientation}.heic", with_orientation(stored, orientation))
deep = np.array(odd).astype(np.uint16) * 257
pillow_heif.encode("RGB;16", odd.size, deep.tobytes(), HERE / "deep.heic", quality=60)


def box(kind, *parts):
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind + content


def full(kind, version, *parts):
    return box(kind, struct.pack(">I", version << 24), *parts)


def grid(name, image, side, encode, kind=b"hvc1", configuration=b"hvcC", brands=b"mif1heic"):
    """Tiles in rows, cut off at the right and below, then turned: what an iPhone writes."""
    width, height = image.size
    columns, rows = -(-width // side), -(-height // side)
    padded = Image.new("RGB", (columns * side, rows * side))
    padded.paste(image)
    configs, coded = set(), []
    for top in range(0, rows * side, side):
        for left in range(0, columns * side, side):
            tile = HERE / f"tile.{brands[4:].decode()}"
            encode(tile.name, padded.crop((left, top, left + side, top + side)))
            data = tile.read_bytes()
            tile.unlink()
            at = data.index(configuration) - 4
            configs.add(data[at:at + struct.unpack(">I", data[at:at + 4])[0]])
            coded.append(data[data.index(b"mdat") + 4:])
    (config,) = configs
    n = len(coded)
    tiles = range(2, 2 + n)
    whole = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    infe = lambda item, kind: full(b"infe", 2, struct.pack(">HH", item, 0), kind, b"\0")  # noqa: E731
    size = lambda w, h: full(b"ispe", 0, struct.pack(">II", w, h))  # noqa: E731
    properties = box(b"ipco", config, size(side, side), size(width, height), box(b"irot", b"\x03"))
    uses = {1: (3, 4 | 0x80), **{tile: (1 | 0x80, 2) for tile in tiles}}
    ipma = struct.pack(">I", len(uses)) + b"".join(
        struct.pack(">HB", item, len(used)) + bytes(used) for item, used in uses.items())

    def meta(start):
        where, offset = b"", start
        for item, data in [(1, whole), *zip(tiles, coded)]:
            where += struct.pack(">HHHII", item, 0, 1, offset, len(data))
            offset += len(data)
        return full(
            b"meta", 0,
            full(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
            full(b"pitm", 0, struct.pack(">H", 1)),
            full(b"iloc", 0, struct.pack(">BBH", 0x44, 0, n + 1), where),
            full(b"iinf", 0, struct.pack(">H", n + 1), infe(1, b"grid"), *(infe(tile, kind) for tile in tiles)),
            full(b"iref", 0, box(b"dimg", struct.pack(f">HH{n}H", 1, n, *tiles))),
            box(b"iprp", properties, full(b"ipma", 0, ipma)))

    begin = box(b"ftyp", brands[4:], bytes(4), brands)
    start = len(begin) + len(meta(0)) + 8
    (HERE / name).write_bytes(begin + meta(start) + box(b"mdat", whole, *coded))


wide = photo.resize((150, 100), Image.Resampling.BICUBIC)
grid("grid.heic", wide, 64, heif)


def avif(name, image, **options):
    image.save(HERE / name, quality=60, **options)


for subsampling in ("4:2:0", "4:2:2", "4:4:4", "4:0:0"):
    avif(f"{subsampling.replace(':', '')}.avif", odd, subsampling=subsampling)
avif("rgb.avif", square)
square.save(HERE / "low-quality.avif", quality=10)
avif("limited.avif", odd, range="limited")
avif("alpha.avif", clear(square))
avif("sequence.avif", square, save_all=True, append_images=[grey.convert("RGB")])
for orientation in range(2, 9):
    exif = Image.Exif()
    exif[274] = orientation
    avif(f"turned-{orientation}.avif", odd, exif=exif)
grid("grid.avif", wide, 64, avif, b"av01", b"av1C", b"mif1avif")
for bits in (10, 12):
    samples = np.array(odd).astype(np.uint16) * 257 >> (16 - bits)
    coded = imagecodecs.avif_encode(samples, level=60, bitspersample=bits, pixelformat="420", speed=6)
    (HERE / f"{bits}-bits.avif").write_bytes(coded)
for matrix, level in (("IDENTITY", 100), ("BT709", 60), ("BT2020_NCL", 60)):
    matrix = imagecodecs.AVIF.MATRIX_COEFFICIENTS[matrix]
    coded = imagecodecs.avif_encode(np.array(odd), level=level, pixelformat="444", speed=6, matrix=matrix)
    (HERE / f"matrix-{int(matrix)}.avif").write_bytes(coded)

square.save(HERE / "rgb.jxl", lossless=True)
grey.save(HERE / "grey.jxl", lossless=True)
clear(square).save(HERE / "alpha.jxl", lossless=True)
clear(grey).save(HERE / "grey-alpha.jxl", lossless=True)

square.convert("P", palette=Image.Palette.ADAPTIVE).save(HERE / "palette.tif", compression="tiff_lzw")
tifffile.imwrite(HERE / "big.tif", np.array(odd), photometric="rgb", bigtiff=True)
tifffile.imwrite(HERE / "zstd.tif", np.array(odd), photometric="rgb", compression="zstd")
tifffile.imwrite(HERE / "grey-alpha.tif", np.dstack([g, np.array(alpha)]), photometric="minisblack",
                 extrasamples=["unassalpha"], planarconfig="contig")


def packed(name, values, bits, photometric, palette=()):
    """A TIFF with rows of values of a few bits, big-endian."""
    height, width = values.shape
    per_byte = 8 // bits
    values = np.pad(values, ((0, 0), (0, -width % per_byte)))
    data = sum((values[:, i::per_byte].astype(int) << (8 - bits * (i + 1))) for i in range(per_byte)).astype(np.uint8).tobytes()
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, height),
            (279, len(data))]
    data += b"\0" * (len(data) % 2)
    directory = 8 + len(data)
    after = directory + 2 + 12 * (len(tags) + bool(len(palette))) + 4
    entries = b"".join(struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    if len(palette):
        entries += struct.pack(">HHII", 320, 3, len(palette), after)
    n = struct.pack(">H", len(entries) // 12)
    colours = struct.pack(f">{len(palette)}H", *palette)
    (HERE / name).write_bytes(b"MM\0*" + struct.pack(">I", directory) + data + n + entries + b"\0" * 4 + colours)


tifffile.imwrite(HERE / "planar-tiles.tif", np.array(odd.resize((70, 50))).transpose(2, 0, 1), photometric="rgb",
                 planarconfig="separate", tile=(32, 32), compression="zlib", predictor=True)
tifffile.imwrite(HERE / "planar-tiles-alpha.tif", np.array(clear(square)).transpose(2, 0, 1), photometric="rgb",
                 planarconfig="separate", tile=(16, 16), extrasamples=["unassalpha"])
Image.fromarray(g.astype(np.int32)).save(HERE / "grey-32-bits.tif")
Image.fromarray(g.astype(np.float32) * 1.1 - 5).save(HERE / "grey-float.tif")
odd.save(HERE / "lzma.tif", compression="lzma", tiffinfo={278: 8})
tifffile.imwrite(HERE / "lzma-planar-tiles.tif", np.array(odd).transpose(2, 0, 1), photometric="rgb", planarconfig="separate",
                 tile=(32, 32), compression="lzma", predictor=True)
black_and_white = photo.convert("1")
black_and_white.save(HERE / "group3.tif", compression="group3")
black_and_white.save(HERE / "group3-2d.tif", compression="group3", tiffinfo={292: 1})
black_and_white.save(HERE / "huffman.tif", compression="tiff_ccitt")


def ycbcr(name, image, across, down, rows=None, tile=None, levels=(), compression=8, compress=zlib.compress):
    """Compressed blocks of YCbCr. Pillow writes no such files, and reads uncompressed ones by a rule of its own."""
    values = np.array(image.convert("YCbCr"))
    height, width, _ = values.shape

    def blocks(part):
        part = np.pad(part, ((0, -part.shape[0] % down), (0, -part.shape[1] % across), (0, 0)), mode="edge")
        for y in range(0, part.shape[0], down):
            for x in range(0, part.shape[1], across):
                block = part[y:y + down, x:x + across]
                yield block[:, :, 0].tobytes() + block[:, :, 1:].reshape(-1, 2).mean(0).astype(np.uint8).tobytes()

    if tile:
        padded = np.pad(values, ((0, -height % tile), (0, -width % tile), (0, 0)), mode="edge")
        parts = [padded[y:y + tile, x:x + tile] for y in range(0, height, tile) for x in range(0, width, tile)]
    else:
        parts = [values[y:y + rows] for y in range(0, height, rows)]
    parts = [compress(b"".join(blocks(part))) for part in parts]
    data, offsets, lengths = bytearray(b"II*\0\0\0\0\0"), [], [len(part) for part in parts]
    for part in parts:
        offsets.append(len(data))
        data += part
    where = [(322, "I", [tile]), (323, "I", [tile]), (324, "I", offsets), (325, "I", lengths)] if tile else [
        (273, "I", offsets), (278, "I", [rows]), (279, "I", lengths)]
    tags = [(256, "I", [width]), (257, "I", [height]), (258, "H", [8, 8, 8]), (259, "H", [compression]), (262, "H", [6]),
            (277, "H", [3]), *where, (530, "H", [across, down])]
    if levels:
        tags.append((532, "II", [(level, 1) for level in levels]))
    entries = b""
    for tag, kind, numbers in tags:
        raw = b"".join(struct.pack("<" + kind, *(number if kind == "II" else [number])) for number in numbers)
        value = raw.ljust(4, b"\0")
        if len(raw) > 4:
            value = struct.pack("<I", len(data))
            data += raw
        entries += struct.pack("<HHI", tag, {"H": 3, "I": 4, "II": 5}[kind], len(numbers)) + value
    data[4:8] = struct.pack("<I", len(data))
    (HERE / name).write_bytes(data + struct.pack("<H", len(tags)) + entries + bytes(4))


ycbcr("ycbcr-22-strips.tif", odd, 2, 2, rows=16)
ycbcr("ycbcr-22-zstd.tif", odd, 2, 2, rows=16, compression=50000, compress=imagecodecs.zstd_encode)
ycbcr("ycbcr-22-lzma.tif", odd, 2, 2, rows=16, compression=34925, compress=lzma.compress)
ycbcr("ycbcr-41-strips.tif", odd, 4, 1, rows=33)
ycbcr("ycbcr-11-tiles.tif", odd, 1, 1, tile=16)
ycbcr("ycbcr-21-tiles-limited.tif", odd, 2, 1, tile=32, levels=(16, 235, 128, 240, 128, 240))

draw = random.Random(1)
o = np.array(odd.convert("L"))
packed("grey-2-bits.tif", o >> 6, 2, 1)
packed("grey-4-bits-inverted.tif", o >> 4, 4, 0)
for bits in (1, 2, 4):
    packed(f"palette-{bits}-bits.tif", o >> (8 - bits), bits, 3, [draw.randrange(65536) for _ in range(3 << bits)])

cases = []
for path in sorted(HERE.iterdir()):
    if path.suffix not in (".avif", ".heic", ".jxl", ".tif"):
        continue
    # Pillow reads AVIF as it is stored, with the container's turns as an EXIF orientation.
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode == "P":
        image = image.convert("RGB")
    # An image that is not resized keeps the colours of transparent pixels.
    rgb = np.array(image.convert("RGB"))
    size = min(rgb.shape[:2])
    top, left = ((side - size) / 2 for side in rgb.shape[:2])
    rgb = rgb[round(top):, round(left):][:size, :size]
    samples = [(draw.randrange(size), draw.randrange(size)) for _ in range(4)]
    cases.append({"file": path.name, "size": size, "upright": True, "lossless": True,
                  "sha256": hashlib.sha256(rgb.tobytes()).hexdigest(),
                  "mean": [round(float(mean), 4) for mean in rgb.reshape(-1, 3).mean(0)],
                  "samples": [[y, x, *map(int, rgb[y, x])] for y, x in samples]})
lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
(HERE / "goldens.json").write_text('{"cases": [\n' + lines + "\n]}\n")
