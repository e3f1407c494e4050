"""The interface of a model: the types and shapes of its inputs and outputs."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import longclip
import numpy as np
import pytest

from programs import needs_torch, run_python
from reference import ROOT

CAT = ROOT / "img" / "cat.jpg"
Nano = tuple[longclip.Model, longclip.Preprocess]


def test_nano_is_built_in_and_describes_itself(nano: Nano) -> None:
    model, preprocess = nano
    assert (model.name, model.dtype, model.embed_dim) == ("nano", "f32", 256)
    assert (model.context_length, model.input_resolution) == (248, 64)
    assert model.visual.input_resolution == 64
    assert repr(model) == "<longclip.Model nano: 64 px, 248 tokens, f32>"
    assert repr(preprocess) == "Preprocess(64)"


def test_an_image_has_the_same_embedding_in_every_form(nano: Nano) -> None:
    from PIL import Image

    model, preprocess = nano
    png = ROOT / "tests" / "data" / "preprocess" / "rgb-97x61.png"
    pillow = Image.open(png)
    forms: list[Any] = [png, str(png), png.read_bytes(), memoryview(png.read_bytes()), pillow, np.asarray(pillow)]
    forms += [preprocess(png), preprocess(png)[None], [png], (pillow,), np.asarray(pillow)[None]]
    forms += [np.asarray(pillow).transpose(2, 0, 1)]
    for form in forms:
        features = model.encode_image(form)
        assert features.shape == (1, 256) and features.dtype == np.float32, type(form)
        assert (features == model.encode_image(png)).all(), type(form)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "1", "P", "PA", "La", "RGBa", "YCbCr", "HSV", "I", "F", "I;16"])
def test_every_pillow_mode_is_supported(mode: str, nano: Nano) -> None:
    from PIL import Image

    photo = Image.open(CAT).resize((90, 70))
    if mode == "I;16":
        image: Any = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    else:
        image = photo.convert({"La": "LA", "RGBa": "RGBA", "PA": "LA"}.get(mode, "RGB" if mode != "PA" else "LA")).convert(mode)
    assert image.mode == mode
    features = nano[0].encode_image(image)[0]
    grey = mode in ("L", "LA", "La", "1", "PA", "I", "F", "I;16")
    like = nano[0].encode_image(photo.convert("L") if grey else photo)[0]
    cosine = float(features @ like / (features.norm() * like.norm()))
    # Single bits and palettes lose detail.
    assert cosine > (0.4 if mode == "1" else 0.9 if mode in ("P", "PA") else 0.99), cosine


def test_rows_do_not_depend_on_the_batch_and_texts_may_have_every_form(nano: Nano) -> None:
    model, _ = nano
    photos = [ROOT / "img" / name for name in ("cat.jpg", "coffee.jpg", "astronaut.jpg")]
    together = model.encode_image(photos)
    for row, photo in zip(together, photos):
        assert (row == model.encode_image(photo)[0]).all()
    texts = ["A cat jumping.", "A cat sleeping.", ""]
    ids = longclip.tokenize(texts)
    assert (model.encode_text(ids) == model.encode_text(texts)).all()
    assert (model.encode_text(ids.astype(np.int64)) == model.encode_text(texts)).all()
    assert (model.encode_text(ids[0]) == model.encode_text(texts[0])).all()
    assert model.encode_text_full(ids).shape == (3, 248, 192)
    assert model.encode_image(np.zeros((0, 3, 64, 64), np.float32)).shape == (0, 256)


def test_a_call_returns_logits_per_image_and_per_text(nano: Nano) -> None:
    model, _ = nano
    texts = ["A cat jumping.", "A cat sleeping."]
    per_image, per_text = model([CAT], texts)
    image, text = model.encode_image(CAT), model.encode_text(texts)
    cosines = (image / image.norm(dim=1, keepdim=True)) @ (text / text.norm(dim=1, keepdim=True)).t()
    assert np.allclose(per_image, model.logit_scale.exp() * cosines, atol=1e-4)
    assert (per_text == per_image.T).all()
    values, places = per_image.softmax(dim=-1)[0].topk(1)
    assert places.tolist() == [0] and values[0] == per_image.softmax(dim=-1).max() > 0.5


def test_methods_that_upstream_programs_call_exist(nano: Nano) -> None:
    model, _ = nano
    assert model.eval() is model and model.to("cpu") is model and model.float() is model and model.cpu() is model
    assert model.requires_grad_(False) is model
    features = model.encode_text("a cat")
    features /= features.norm(dim=-1, keepdim=True)
    assert abs(float(features.norm()) - 1) < 1e-6
    assert features.cpu().detach().to("cpu").numpy().flags.writeable


@pytest.mark.parametrize("dtype", ["f32", "bf16", "int8", "float32", np.float32])
def test_number_types_give_similar_embeddings(dtype: Any, nano: Nano) -> None:
    model, _ = longclip.load("nano", dtype=dtype, threads=1)
    ours, exact = model.encode_image(CAT)[0], nano[0].encode_image(CAT)[0]
    assert float(ours @ exact / (ours.norm() * exact.norm())) > 0.995
    assert model.native.threads == 1


def test_results_do_not_depend_on_the_number_of_threads(nano: Nano) -> None:
    one = longclip.load("nano", threads=1)[0]
    three = longclip.load("nano", threads=3)[0]
    assert (one.encode_image(CAT) == three.encode_image(CAT)).all()
    assert (one.encode_text("a cat") == three.encode_text("a cat")).all()


@needs_torch
def test_tensors_as_input_give_tensors() -> None:
    program = """
import torch, longclip, numpy as np
from PIL import Image
model, preprocess = longclip.load("nano")
cat = Image.open("img/cat.jpg")
image = preprocess(cat)
assert isinstance(image, torch.Tensor) and image.shape == (3, 64, 64)
text = longclip.tokenize(["a cat", "a dog"])
assert text.dtype == torch.int32
features = model.encode_image(image.unsqueeze(0))
assert isinstance(features, torch.Tensor) and features.shape == (1, 256)
for other in (cat, "img/cat.jpg", image.half(), image.double(), [image], torch.stack([image, image])[:1]):
    assert torch.allclose(model.encode_image(other), features, atol=5e-2)
eight_bit = torch.from_numpy(np.asarray(cat).copy())
assert torch.equal(model.encode_image(eight_bit), features)
assert torch.equal(model.encode_image(eight_bit.permute(2, 0, 1)), features)
assert isinstance(model.encode_image(np.asarray(cat)), longclip.Array)
per_image, per_text = model(image.unsqueeze(0), text)
assert torch.equal(per_image, per_text.T)
assert isinstance(model.logit_scale.exp(), torch.Tensor)
text_features = model.encode_text(text.long())
text_features /= text_features.norm(dim=-1, keepdim=True)
print(per_image.softmax(dim=-1).argmax().item())
"""
    assert run_python(program) == "0\n"


def test_a_model_can_be_pickled(nano: Nano) -> None:
    model, preprocess = pickle.loads(pickle.dumps(nano))
    assert (model.encode_image(preprocess(CAT)) == nano[0].encode_image(CAT)).all()


def test_a_model_from_a_file_can_be_unpickled_in_another_folder(tiny_file: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tiny_file.parent)
    model, _ = longclip.load(tiny_file.name)
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(pickle.dumps(model)).embed_dim == 64


def _in_child(queue: Any, model: longclip.Model, labels: longclip.Classifier) -> None:
    queue.put((model.encode_image(CAT).tolist(), model.encode_text("a cat").tolist(), labels.classify(CAT)))


def test_a_forked_process_loads_the_model_again(nano: Nano) -> None:
    """The child does not have the parent's threads, so waiting for them would never end."""
    model = nano[0]
    classifier = longclip.Classifier(["a cat", "a dog"], model)
    expected = (model.encode_image(CAT).tolist(), model.encode_text("a cat").tolist(), classifier.classify(CAT))
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    child = fork.Process(target=_in_child, args=(queue, model, classifier))
    child.start()
    try:
        assert queue.get(timeout=60) == expected
        child.join(timeout=60)
        assert child.exitcode == 0
    finally:
        child.kill()


def test_names_are_looked_up_in_checkpoints(tiny_file: Path, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mine.safetensors").symlink_to(tiny_file)
    monkeypatch.chdir(tmp_path)
    assert longclip.load("mine")[0].embed_dim == 64
    monkeypatch.setenv("LONGCLIP_MODEL", "mine")
    assert longclip.load()[0].name == "mine"
    monkeypatch.delenv("LONGCLIP_MODEL")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    with pytest.warns(longclip.LongclipWarning, match="using `nano`"):
        assert longclip.load()[0].name == "nano"
