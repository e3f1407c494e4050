"""The Python package gives the reference's numbers. Bounds as in `tests/stories/reference.rs`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import longclip
import numpy as np
import pytest

from reference import ROOT, SHARED, golden, recipe

COSINE_DIFFERENCE_MAX = 1e-5
LENGTH_DIFFERENCE_MAX = 1e-4
PROBABILITY_DIFFERENCE_MAX = 1e-4


def check_features(ours: Any, theirs: Any) -> None:
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    lengths = np.linalg.norm(ours, axis=1), np.linalg.norm(theirs, axis=1)
    cosines = (ours * theirs).sum(axis=1) / (lengths[0] * lengths[1])
    assert (1 - cosines).max() <= COSINE_DIFFERENCE_MAX
    assert np.abs(lengths[0] / lengths[1] - 1).max() <= LENGTH_DIFFERENCE_MAX


def pixels(names: list[str], resolution: int) -> Any:
    return np.stack([recipe().made_of(name, (3, resolution, resolution), 0.2, 2.0) for name in names])


def token_ids(cases: list[Any], vocabulary: int) -> Any:
    rows = np.zeros((len(cases), 248), np.int32)
    for row, (name, n) in zip(rows, cases):
        # u in [-1, 1) in steps of 2^-23, scaled in f64 to integers below the start token.
        u = uniform(name, n)
        row[: n + 2] = [vocabulary - 2, *((u + 1) / 2 * (vocabulary - 2)).astype(int), vocabulary - 1]
    return rows


def uniform(name: str, n: int) -> Any:
    """The recipe's numbers before they are rounded to f16."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    places = [(seed + (i + 1) * 0x9E3779B97F4A7C15) % 2**64 for i in range(n)]
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        places = [(z ^ (z >> shift)) * factor % 2**64 for z in places]
    return np.array([((z ^ (z >> 31)) >> 40) * 2.0**-23 - 1 for z in places])


def check_tiny(path: Path) -> None:
    theirs = golden("model-tiny.json")
    model, _ = longclip.load(str(path))
    images = pixels([f"image.{i}" for i in range(len(theirs["image_features"]))], 64)
    ids = token_ids(theirs["ids"], 1000)
    image_features, text_features = model.encode_image(images), model.encode_text(ids)
    check_features(image_features, theirs["image_features"])
    check_features(text_features, theirs["text_features"])
    per_image, per_text = model(images, ids)
    assert np.abs(per_image.softmax(dim=-1) - theirs["probabilities"]).max() <= PROBABILITY_DIFFERENCE_MAX
    assert (per_text == per_image.T).all()
    raw = longclip.Array.softmax((image_features @ text_features.T), dim=-1)
    assert np.abs(raw - theirs["raw_dot_probabilities"]).max() <= PROBABILITY_DIFFERENCE_MAX
    hidden = model.encode_text_full(ids[1:2, :7])
    assert np.abs(hidden[0] - theirs["text_hidden_ids.1"]).max() <= 1e-5
    # A file in f16 stores this number in f16, too.
    assert abs(float(model.logit_scale) - 4.6052) < (5e-4 if "f16" in path.name else 1e-6)


def test_a_generated_model_gives_the_reference_numbers(tiny_file: Path) -> None:
    check_tiny(tiny_file)


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/reference")
@pytest.mark.parametrize(
    "name",
    [
        "longclip.safetensors",
        "longclip.pt",
        "longclip-f16.pt",
        "openclip.safetensors",
        "openclip-custom-text.safetensors",
        "openclip-training.pt",
        "hf.safetensors",
        "hf-sharded",
        "hf-nested.safetensors",
        "gmp.safetensors",
    ],
)
def test_every_layout_gives_the_reference_numbers(name: str) -> None:
    check_tiny(SHARED / "model-tiny" / name)


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/reference")
@pytest.mark.parametrize("path", sorted((SHARED / "model-tiny" / "bad").glob("*")), ids=lambda path: path.name)
def test_a_bad_file_is_a_model_error_that_names_it(path: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(longclip.ModelError) as raised:
        model, _ = longclip.load(str(path))
        # A value that is not finite is noticed only when its tower is used.
        model.encode_image(pixels(["image.0"], 64))
        model.encode_text(token_ids([["ids.0", 1]], 1000))
    assert path.name in str(raised.value)
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/reference")
def test_77_rows_are_stretched_or_used_unchanged() -> None:
    theirs = golden("model-tiny.json")
    ids = token_ids(theirs["ids"], 1000)
    path = SHARED / "model-tiny" / "clip77.safetensors"
    check_features(longclip.load(path)[0].encode_text(ids), theirs["stretched_from_77"]["text_features"])
    short, _ = longclip.load(path, stretch=False)
    rows = theirs["unstretched_77"]["rows"]
    check_features(short.encode_text(ids[rows, :77]), theirs["unstretched_77"]["text_features"])
    with pytest.raises(longclip.UsageError, match="202.*77"):
        short.encode_text(ids[7])


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/reference")
@pytest.mark.parametrize(("case", "rounding"), [("as_stored", False), ("upstream_rounding", True)])
def test_weights_are_used_as_stored_or_rounded_like_upstreams(case: str, rounding: bool) -> None:
    theirs = golden("model-tiny.json")
    path = SHARED / "model-tiny" / "longclip-unrounded.safetensors"
    model, _ = longclip.load(path, upstream_rounding=rounding)
    ours = model.encode_text(token_ids(theirs["ids"], 1000))
    assert np.abs(ours - theirs["unrounded"][case]["text_features"]).max() <= 1e-5


def test_a_model_of_real_size_gives_the_reference_numbers(b_file: Path) -> None:
    theirs = golden("model-B.json")
    model, preprocess = longclip.load(b_file)
    recipes = [name for name in theirs["images"] if name.startswith("image.")]
    photos = [SHARED / "img" / f"{name}.png" for name in theirs["images"] if name not in recipes]
    images = [*pixels(recipes, 224), *(np.asarray(preprocess(photo)) for photo in photos)]
    text = longclip.tokenize(theirs["texts"], truncate=True)
    check_features(model.encode_image(images), theirs["image_features"])
    check_features(model.encode_text(text), theirs["text_features"])
    per_image, _ = model(np.stack(images), text)
    assert np.abs(per_image.softmax(dim=-1) - theirs["probabilities"]).max() <= PROBABILITY_DIFFERENCE_MAX


def test_token_ids_equal_the_references() -> None:
    cases = json.loads((ROOT / "tests" / "data" / "text" / "tokenizer.json").read_text())["cases"]
    ids = longclip.tokenize([case["text"] for case in cases], truncate=True)
    assert ids.shape == (len(cases), 248) and ids.dtype == np.int32
    for ours, case in zip(ids, cases):
        assert ours[: len(case["ids"])].tolist() == case["ids"]
        assert not ours[len(case["ids"]) :].any()
    for case in cases:
        if case["truncated"]:
            with pytest.raises(longclip.TooLongError, match=f"has {case['count']} tokens; 248 fit"):
                longclip.tokenize(case["text"])


def preprocess_goldens() -> list[Any]:
    own = ROOT / "tests" / "data" / "preprocess"
    cases = [(own / case["file"], case) for case in json.loads((own / "goldens.json").read_text())["cases"]]
    if SHARED.exists():
        shared = json.loads((SHARED / "preprocess.json").read_text())["cases"]
        cases += [(SHARED / case["file"], case) for case in shared]
    return cases


def eight_bit(normalised: Any) -> Any:
    """The 8-bit pixels `(R, R, 3)` before normalisation."""
    mean = np.array([0.48145466, 0.4578275, 0.40821073])
    std = np.array([0.26862954, 0.26130258, 0.27577711])
    return np.rint((np.asarray(normalised).transpose(1, 2, 0) * std + mean) * 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("path", "case"), preprocess_goldens(), ids=lambda value: value.name if isinstance(value, Path) else ""
)
def test_pixels_equal_pillows(path: Path, case: Any) -> None:
    """Files are rotated as their EXIF says; Pillow images are used unchanged, as upstream does."""
    from PIL import Image

    preprocess = longclip.Preprocess(case["size"])
    ways = {True: [path, path.read_bytes()], False: [Image.open(path)]}[case["upright"]]
    if not any(place in path.name for place in ("exif", "xmp", "raw-profile")):
        ways = [path, path.read_bytes(), Image.open(path)]
    for image in ways:
        ours = eight_bit(preprocess(image))
        if case["lossless"]:
            assert hashlib.sha256(ours.tobytes()).hexdigest() == case["sha256"], type(image)
        samples = np.array(case["samples"])
        difference = np.abs(ours[samples[:, 0], samples[:, 1]].astype(int) - samples[:, 2:])
        assert difference.max() <= (0 if case["lossless"] else 3) and difference.mean() <= 0.5, type(image)
