"""Two thousand small photos, some of them broken, as files, as Parquet and as tars, with the command line's results for them."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from programs import command_line
from reference import ROOT

LABELS = ["a cat", "a cup of coffee", "an astronaut", "something else altogether"]
N_PHOTOS = 2000
# One file in this many is not an image.
EACH_BROKEN = 397
N_FILES = 8

Row = tuple[str | None, list[float] | None, str | None]


@dataclass
class Photos:
    """Where the photos are. `rows` has the command line's results by path: label, scores in the order of the labels, error."""

    folder: Path
    parquet: Path
    tars: Path
    rows: dict[str, Row]


def made(into: Path) -> Photos:
    """Makes the photos: random crops of the repository's, the same each time."""
    photos = Photos(into / "photos", into / "parquet", into / "tars", {})
    for folder in (photos.folder, photos.parquet, photos.tars):
        folder.mkdir()
    chance = random.Random(2000)
    originals = [Image.open(ROOT / "img" / name).convert("RGB") for name in ("cat.jpg", "coffee.jpg", "astronaut.jpg")]
    for file in range(N_FILES):
        paths, images = [], []
        for i in range(file, N_PHOTOS, N_FILES):
            path = photos.folder / f"{i:05}.jpg"
            path.write_bytes(b"not a picture" if i % EACH_BROKEN == 0 else _cut(chance, originals))
            paths.append(str(path))
            images.append(path.read_bytes())
        table = pa.table({"path": paths, "image": images, "number": pa.array(range(file, N_PHOTOS, N_FILES), pa.int32())})
        pq.write_table(table, photos.parquet / f"{file}.parquet", row_group_size=64)
        with tarfile.open(photos.tars / f"{file}.tar", "w") as tar:
            for path in paths:
                tar.add(path, os.path.basename(path))
    photos.rows = _plain(photos.folder)
    assert len(photos.rows) == N_PHOTOS
    return photos


def _cut(chance: random.Random, originals: list[Image.Image]) -> bytes:
    original = chance.choice(originals)
    side = chance.randrange(100, min(original.size))
    left, top = (chance.randrange(length - side + 1) for length in original.size)
    cut = original.resize((chance.randrange(40, 120), 80), box=(left, top, left + side, top + side))
    file = io.BytesIO()
    cut.save(file, "jpeg", quality=85)
    return file.getvalue()


def _plain(folder: Path) -> dict[str, Row]:
    command = [str(command_line()), "classify", str(folder), "--model", "nano", "--format", "ndjson", "-q"]
    done = subprocess.run(
        [*command, *(f"--label={label}" for label in LABELS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    rows: dict[str, Row] = {}
    for line in done.stdout.splitlines():
        record = json.loads(line)
        by_label = {label["label"]: label["probability"] for label in record.get("labels", [])}
        label = record["labels"][0]["label"] if by_label else None
        rows[record["path"]] = (label, [by_label[name] for name in LABELS] if by_label else None, record.get("error"))
    return rows


def check_rows(table: Any, photos: Photos) -> None:
    """Checks that every photo occurs once, with the command line's results, equal to the bit in f32."""
    import numpy as np

    paths = table.column("path").to_pylist()
    assert sorted(paths) == sorted(photos.rows)
    columns = (table.column(name).to_pylist() for name in ("label", "scores", "error"))
    for path, label, scores, error in zip(paths, *columns):
        expected_label, expected_scores, expected_error = photos.rows[path]
        assert (label, error) == (expected_label, expected_error)
        assert (scores is None) == (expected_scores is None)
        if scores is not None:
            assert (np.float32(scores) == np.float32(expected_scores)).all(), path
    assert sum(error is not None for error in table.column("error").to_pylist()) == -(-N_PHOTOS // EACH_BROKEN)
