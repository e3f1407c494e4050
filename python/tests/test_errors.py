"""Errors are exceptions that say what happened and what to do; there are no panics."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Callable

import longclip
import numpy as np
import pytest

from programs import run_python
from reference import ROOT

CAT = ROOT / "img" / "cat.jpg"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.jpg"
    path.write_bytes(CAT.read_bytes()[:2000])
    return path


def check(raised: pytest.ExceptionInfo[Any], *kinds: type[BaseException], says: str, hint: str | None = None) -> None:
    error = raised.value
    assert isinstance(error, (longclip.Error, *kinds)[0]) and all(isinstance(error, kind) for kind in kinds), type(error)
    assert says in error.message, error.message
    assert hint is None or (error.hint is not None and hint in error.hint), error.hint
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_missing_image_is_a_file_not_found_error_that_names_it(nano: Any, tmp_path: Path) -> None:
    model, preprocess = nano
    missing = tmp_path / "missing.jpg"
    for call in (preprocess, model.encode_image, lambda path: longclip.classify(path, ["a"], model)):
        with pytest.raises(FileNotFoundError) as raised:
            call(missing)
        check(raised, longclip.MissingFileError, OSError, says=str(missing))
        assert raised.value.filename == str(missing) and raised.value.errno == 2


def test_a_bad_image_is_named(nano: Any, broken: Path) -> None:
    model, preprocess = nano
    for call in (preprocess, model.encode_image, lambda path: model.encode_image([CAT, path])):
        with pytest.raises(longclip.PictureError) as raised:
            call(broken)
        check(raised, ValueError, says=str(broken))
        assert raised.value.name == str(broken)
    with pytest.raises(longclip.PictureError, match="image 1"):
        model.encode_image([CAT.read_bytes(), b"not an image"])
    with pytest.raises(longclip.PictureError, match="image 0"):
        model.encode_image([b""])


def test_an_image_that_pillow_cannot_read_is_named(nano: Any, broken: Path) -> None:
    from PIL import Image

    with pytest.raises(longclip.PictureError) as raised:
        nano[1](Image.open(broken))
    check(raised, ValueError, says=str(broken))


def test_a_missing_model_is_a_file_not_found_error(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for name in ("./checkpoints/longclip-B.pt", "no-such-model", tmp_path / "nothing.safetensors"):
        with pytest.raises(FileNotFoundError) as raised:
            longclip.load(name)
        check(raised, longclip.UnknownModelError, longclip.ModelError, says=str(name))


def test_without_network_the_error_names_the_host(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(longclip.NetworkError) as raised:
        longclip.load("longclip-b")
    check(raised, ConnectionError, says="127.0.0.1:9")


def test_a_file_that_is_not_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(longclip.ModelError, match="cat.jpg"):
        longclip.load(CAT)


USAGE: list[tuple[str, Callable[[Any, Any], Any], str, str]] = [
    ("number type", lambda m, p: longclip.load("nano", dtype="f64"), "`f64`", "bf16"),
    ("number type of a GPU", lambda m, p: longclip.load("nano", dtype="f16"), "f16 works only on a GPU", "int8"),
    ("device", lambda m, p: longclip.load("nano", device="tpu"), "`tpu`", "`cpu`"),
    ("absent device", lambda m, p: longclip.load("nano", device="cuda"), "`cuda:0` can't be used", '`device="cpu"`'),
    ("threads", lambda m, p: longclip.load("nano", threads=0), "0 threads", "physical core"),
    ("activation", lambda m, p: longclip.load("nano", activation="relu"), "`relu`", "gelu"),
    ("shape", lambda m, p: m.encode_image(np.zeros((1, 3, 65, 64), np.float32)), "(1, 3, 65, 64)", "preprocess"),
    ("not a number", lambda m, p: m.encode_image(np.full((3, 64, 64), np.nan)), "NaN", "finite"),
    ("no images", lambda m, p: m.encode_image([]), "no images", "list"),
    ("ids", lambda m, p: m.encode_text(np.array([[-1, 5]])), "-1", "vocabulary"),
    ("unknown id", lambda m, p: m.encode_text(np.array([[49406, 60000]])), "60000", ""),
    ("floats as ids", lambda m, p: m.encode_text(np.zeros((1, 3))), "float64", "tokenize"),
    ("no ids", lambda m, p: m.encode_text(np.zeros((2, 0), np.int32)), "without token ids", ""),
    ("no room", lambda m, p: longclip.tokenize("a", context_length=1), "1 tokens", ""),
    ("no memory", lambda m, p: longclip.tokenize("a", context_length=10**15), "no memory", ""),
    ("long text", lambda m, p: m.encode_text("cat " * 300), "302 tokens; 248 fit", "truncate=True"),
    ("a text as labels", lambda m, p: longclip.classify(CAT, "a cat", m), "`a cat`", "list"),
    ("no labels", lambda m, p: longclip.classify(CAT, [], m), "no labels", "labels=["),
    ("empty label", lambda m, p: longclip.classify(CAT, [" "], m), "label 1 is empty", ""),
    ("score", lambda m, p: longclip.classify(CAT, ["a"], m, score="best"), "`best`", "softmax"),
    ("top_k", lambda m, p: longclip.classify(CAT, ["a"], m, top_k=0), "`top_k` is 0", "at least 1"),
    ("on_error", lambda m, p: longclip.classify(CAT, ["a"], m, on_error="ignore"), "`ignore`", "skip"),
    ("long label", lambda m, p: longclip.classify(CAT, ["cat " * 300], m, long_text="error"), "302", 'long_text="chunk"'),
    ("template", lambda m, p: longclip.classify(CAT, ["a"], m, templates="a photo"), "has no `{}`", "a photo of a {}."),
    ("temperature", lambda m, p: longclip.classify(CAT, ["a"], m, temperature=-1), "-1", "above 0"),
    ("reject", lambda m, p: longclip.classify(CAT, ["a"], m, score="cosine", reject=0.5), "`reject` is for the score `softmax`", "use a threshold"),
    ("reject's own", lambda m, p: longclip.classify(CAT, ["none of these"], m, reject=0.5), "`reject` adds", "leave it out"),
    ("reject nothing", lambda m, p: longclip.classify(CAT, ["a"], m, reject=float("nan")), "`reject` is NaN", "finite"),
    ("resolution", lambda m, p: longclip.Preprocess(0), "0 px", "input_resolution"),
    ("names", lambda m, p: longclip.classify([CAT], ["a"], m, names=["x", "y"]), "2 names for 1", ""),
]


@pytest.mark.parametrize(("call", "says", "hint"), [case[1:] for case in USAGE], ids=[case[0] for case in USAGE])
def test_an_error_on_a_wrong_argument_says_what_is_allowed(nano: Any, call: Any, says: str, hint: str) -> None:
    with pytest.raises(longclip.UsageError) as raised:
        call(*nano)
    check(raised, ValueError, says=says, hint=hint or None)
    assert "`--" not in str(raised.value), "the error refers to a command-line flag"


@pytest.mark.parametrize("pixels", [np.zeros((2, 2, 7), np.uint8), np.zeros((4, 4), np.int64), np.zeros((0, 4, 3), np.uint8), np.zeros(5, np.uint8)])
def test_an_array_that_is_not_an_image_is_refused(pixels: Any, nano: Any) -> None:
    with pytest.raises(longclip.PictureError):
        nano[1](pixels)


def test_arguments_of_wrong_types_are_type_errors(nano: Any) -> None:
    model, preprocess = nano
    for call in (lambda: preprocess(3), lambda: model.encode_image([None]), lambda: longclip.tokenize([b"a"])):
        with pytest.raises(TypeError):
            call()


def test_no_input_causes_a_panic() -> None:
    """pyo3's PanicException is not an Exception, so it would end a program that handles errors."""
    program = """
import random, longclip, numpy as np
model, preprocess = longclip.load("nano", threads=1)
random.seed(7)
cat = open("img/cat.jpg", "rb").read()
png = open("tests/data/preprocess/rgb-97x61.png", "rb").read()
n_failed = 0
for i in range(400):
    data = bytearray(random.choice([cat, png]))
    for _ in range(random.randrange(1, 20)):
        data[random.randrange(len(data))] = random.randrange(256)
    try:
        model.encode_image([bytes(data[:random.randrange(len(data))] if i % 3 == 0 else data)])
    except longclip.PictureError:
        n_failed += 1
for ids in (np.full((2, 3), 2**31 - 1), np.full((1, 1), 0), np.full((1, 500), 7)):
    try:
        model.encode_text(ids)
    except longclip.UsageError:
        pass
print(0 < n_failed < 400)
"""
    assert run_python(program) == "True\n"
