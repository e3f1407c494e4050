"""Writes the tables in this folder from the packages that define them.

    pip install ftfy==6.3.1 regex
    python src/text/data/make_tables.py PATH/TO/bpe_simple_vocab_16e6.txt.gz

The gzip file comes from the PyPI package open_clip_torch; README.md gives the checksums.
"""
import gzip, html.entities, pathlib, re, struct, sys

import ftfy.bad_codecs  # registers the sloppy code pages
import regex
from ftfy import badness, chardata

HERE = pathlib.Path(__file__).parent
MERGES = 49152 - 256 - 2


def byte_symbols():
    """The 256 characters that stand for bytes, ordered by id."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + n) for n in range(len(rest))]


def merges(path):
    """Each merge as the ids of its two sides, 16 bits each, little-endian, in rank order."""
    lines = gzip.open(path).read().decode().split("\n")[1 : MERGES + 1]
    symbols = byte_symbols()
    ids = {s: i for i, s in enumerate(symbols + [s + "</w>" for s in symbols])}
    out = bytearray()
    for line in lines:
        left, right = line.split()
        out += struct.pack("<HH", ids[left], ids[right])
        ids[left + right] = len(ids)
    assert len(ids) == 512 + MERGES, "if two merges made the same symbol, their order would matter"
    (HERE / "merges.u16").write_bytes(out)


def ranges(chars):
    """Code points as hexadecimal ranges: `41-5a 61`."""
    out, run = [], []
    for c in sorted(chars) + [None]:
        if run and c != run[-1] + 1 if c is not None else run:
            out.append(f"{run[0]:x}-{run[-1]:x}" if len(run) > 1 else f"{run[0]:x}")
            run = []
        if c is not None:
            run.append(c)
    return " ".join(out)


def in_class(members):
    pattern = re.compile(f"[{members}]")
    return {c for c in range(0x10000) if pattern.match(chr(c))}


def category(pattern, name):
    got = {c for c in range(0x110000) if regex.match(pattern, chr(c))}
    (HERE / name).write_text(ranges(got).replace(" ", "\n") + "\n")


def classes():
    groups = {**badness.MOJIBAKE_CATEGORIES, **chardata.UTF8_CLUES}
    text = "".join(f"{name} {ranges(in_class(members))}\n" for name, members in groups.items())
    (HERE / "classes.txt").write_text(text)


def charsets():
    """The characters of the bytes 80 to ff in each code page; undefined bytes as in Latin-1."""
    rows = []
    for name in chardata.CHARMAP_ENCODINGS[1:]:
        text = bytes(range(0x80, 0x100)).decode(name)
        assert len(set(text)) == 128 and min(text) >= "\x80"
        rows.append(f"{name} " + " ".join(f"{ord(c):x}" for c in text) + "\n")
    (HERE / "charsets.txt").write_text("".join(rows))


def entities():
    rows = sorted((name.encode(), value) for name, value in html.entities.html5.items())
    text = "".join(f"{name.decode()} {' '.join(f'{ord(c):x}' for c in value)}\n" for name, value in rows)
    (HERE / "entities.txt").write_text(text)


merges(sys.argv[1])
category(r"\p{L}", "letters.txt")
category(r"\p{Nd}", "digits.txt")
classes()
charsets()
entities()
