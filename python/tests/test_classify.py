"""`longclip.classify` returns the command line's records."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import longclip
import numpy as np
import pytest

from programs import command_line
from reference import ROOT

IMG = ROOT / "img"
LABELS = ["A cat jumping.", "A cat sleeping.", "a cup of coffee", "an astronaut"]
PHOTOS = [IMG / name for name in ("cat.jpg", "coffee.jpg", "astronaut.jpg")]


def test_the_likeliest_label_comes_first(nano: Any) -> None:
    records = longclip.classify(PHOTOS, LABELS, nano[0])
    assert [record["path"] for record in records] == [str(photo) for photo in PHOTOS]
    # nano does not know astronauts.
    assert [record["labels"][0]["label"] for record in records[:2]] == [LABELS[0], LABELS[2]]
    for record in records:
        probabilities = [label["probability"] for label in record["labels"]]
        assert probabilities == sorted(probabilities, reverse=True) and abs(sum(probabilities) - 1) < 1e-5


@pytest.mark.skipif(command_line() is None, reason="the command line is not built")
@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ([], {}),
        (["--top-k", "2", "--embeddings"], {"top_k": 2, "embeddings": True}),
        (["--score", "cosine"], {"score": "cosine"}),
        (["--score", "independent"], {"score": "independent"}),
        (["--score", "raw-dot", "--temperature", "2"], {"score": "raw-dot", "temperature": 2.0}),
        (["--reject"], {"reject": 0.5}),
        (["--templates", "imagenet7"], {"templates": "imagenet7"}),
        (["--template", "a photo of {}"], {"templates": ["a photo of {}"]}),
        (["--fit", "pad"], {"fit": "pad"}),
        (["--fit", "tiles"], {"fit": "tiles"}),
        (["--fit", "tiles-mean"], {"fit": "tiles-mean"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_records_equal_the_command_lines(flags: list[str], options: dict[str, Any], tmp_path: Path, nano: Any) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(IMG, folder, ignore=shutil.ignore_patterns("*.md"))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    with tarfile.open(folder / "shard.tar", "w") as tar:
        tar.add(IMG / "cat.jpg", "inside/cat.jpg")
    inputs = [str(folder), str(folder / "shard.tar"), str(folder / "missing.png")]
    command = [str(command_line()), "classify", *inputs, "--model", "nano", "--format", "ndjson", "-q", *flags]
    command += [f"--label={label}" for label in LABELS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    ours = longclip.classify(inputs, LABELS, nano[0], on_error="skip", **options)
    assert len(ours) >= 6 and [record["path"] for record in ours] == [record["path"] for record in theirs]
    assert ours == theirs


def test_every_kind_of_image_has_a_name_and_a_record(nano: Any) -> None:
    from PIL import Image

    png = ROOT / "tests" / "data" / "preprocess" / "rgb-97x61.png"
    pillow = Image.open(png)
    images = [png, png.read_bytes(), pillow, np.asarray(pillow), pillow.rotate(0)]
    records = longclip.classify(images, LABELS, nano[0])
    assert [record["path"] for record in records] == [str(png), "image 1", str(png), "image 3", "image 4"]
    assert all(record["labels"] == records[0]["labels"] for record in records)
    named = longclip.classify(images[1:], LABELS, nano[0], names=["a", "b", "c", "d"])
    assert [record["path"] for record in named] == ["a", str(png), "c", "d"]


def test_a_bad_image_raises_or_becomes_a_record(nano: Any) -> None:
    images = [PHOTOS[0].read_bytes(), b"not an image", PHOTOS[1].read_bytes()]
    with pytest.raises(longclip.PictureError, match="image 1"):
        longclip.classify(images, LABELS, nano[0])
    records = longclip.classify(images, LABELS, nano[0], on_error="skip")
    assert [sorted(record) for record in records] == [["labels", "path"], ["error", "path"], ["labels", "path"]]
    assert "image 1" in records[1]["error"]


def test_labels_may_have_prompts_or_come_from_a_file(nano: Any, tmp_path: Path) -> None:
    prompts = {"cat": ["A cat jumping.", "A cat sleeping."], "coffee": "a cup of coffee"}
    records = longclip.classify(PHOTOS[:2], prompts, nano[0])
    assert [record["labels"][0]["label"] for record in records] == ["cat", "coffee"]
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(prompts))
    assert longclip.classify(PHOTOS[:2], file, nano[0]) == records
    with pytest.raises(FileNotFoundError):
        longclip.classify(PHOTOS, tmp_path / "none.txt", nano[0])


def test_truncated_and_repeated_labels_are_warnings(nano: Any) -> None:
    with pytest.warns(longclip.LongclipWarning, match="302 tokens; this model reads 248"):
        longclip.Classifier(["cat " * 300, "a dog"], nano[0])
    with pytest.warns(longclip.LongclipWarning, match="given more than once"):
        assert longclip.Classifier(["a dog", "a dog"], nano[0]).answers == ["a dog"]


def test_reject_adds_the_answer_none_of_these(nano: Any) -> None:
    classifier = longclip.Classifier(["a submarine", "a fax machine"], nano[0], reject=0.5)
    assert classifier.answers == ["a submarine", "a fax machine", "none of these"]
    assert classifier.classify(PHOTOS[0])[0]["labels"][0]["label"] == "none of these"


def test_a_model_given_by_name_is_loaded_once() -> None:
    first = longclip.Classifier(["a cat"], "nano")
    assert longclip.Classifier(["a dog"], "nano").model is first.model
