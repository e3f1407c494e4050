"""`fit` says how an image becomes what the model reads."""

from __future__ import annotations

from typing import Any

import longclip
import numpy as np
import pytest

from reference import ROOT

IMG = ROOT / "img"
LABELS = ["a cup of coffee", "a cat", "a forest", "a train", "a beach"]


def panorama() -> Any:
    """The centres of three photos side by side."""
    from PIL import Image, ImageOps

    photos = [Image.open(IMG / f"{name}.jpg").convert("RGB") for name in ("coffee", "astronaut", "cat")]
    return np.hstack([np.asarray(ImageOps.fit(photo, (300, 300))) for photo in photos])


def test_tiles_find_what_is_at_the_ends_of_a_panorama(nano: Any) -> None:
    def probability(fit: str | None) -> dict[str, float]:
        [record] = longclip.classify(panorama(), LABELS, nano[0], score="independent", fit=fit)
        return {label["label"]: label["probability"] for label in record["labels"]}

    crop, best, mean = probability(None), probability("tiles"), probability("tiles-mean")
    for label in LABELS[:2]:
        assert crop[label] < 0.5 < best[label], (label, crop, best)
        assert mean[label] < best[label]
    assert all(best[label] < 0.5 for label in LABELS[2:]), best
    assert probability("crop") == crop


def test_embeddings_of_tiles_are_refused(nano: Any) -> None:
    for fit in ("tiles", "tiles-mean"):
        expected = f'one embedding per image, and `fit="{fit}"` makes one of each tile'
        with pytest.raises(longclip.UsageError, match=f"`encode_image` returns {expected}"):
            nano[0].encode_image(IMG / "cat.jpg", fit=fit)
        with pytest.raises(longclip.UsageError, match=f"`embeddings=True` returns {expected}"):
            longclip.classify(IMG / "cat.jpg", LABELS, nano[0], fit=fit, embeddings=True)


def test_a_whole_image_can_be_embedded(nano: Any) -> None:
    model, preprocess = nano
    wide = panorama()[:, :600]
    bars = np.zeros((600, 600, 3), np.uint8)
    bars[150:450] = wide
    crop, pad, by_hand = (model.encode_image(wide), model.encode_image(wide, fit="pad"), model.encode_image(bars))

    def cosine(a: Any, b: Any) -> float:
        return float((a @ b.T).item() / np.linalg.norm(a) / np.linalg.norm(b))

    assert np.array_equal(model.encode_image(wide, fit="crop"), crop)
    # Bars that are added before the image is resized have softer edges.
    assert cosine(pad, by_hand) > 0.97 > cosine(crop, by_hand)
    with pytest.raises(longclip.UsageError, match="already prepared"):
        model.encode_image(preprocess(wide), fit="pad")


def test_other_names_are_refused_with_those_that_there_are(nano: Any) -> None:
    for call in (
        lambda: nano[0].encode_image(IMG / "cat.jpg", fit="stretch"),
        lambda: longclip.Classifier(LABELS, nano[0], fit="stretch"),
    ):
        with pytest.raises(longclip.UsageError, match="`stretch`") as raised:
            call()
        assert "`tiles-mean`" in raised.value.hint


def test_batches_have_the_same_scores(nano: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    from longclip.batches import Batches

    photo = IMG / "coffee.jpg"
    batch = pa.table({"path": [str(photo)]})
    [scores] = Batches(LABELS, model="nano", fit="tiles")(batch).column("scores").to_pylist()
    [record] = longclip.classify(photo, LABELS, nano[0], fit="tiles")
    probabilities = {label["label"]: label["probability"] for label in record["labels"]}
    assert scores == pytest.approx([probabilities[label] for label in LABELS], abs=1e-6)
    with pytest.raises(longclip.UsageError, match="rows without labels have one embedding per image"):
        Batches(model="nano", fit="tiles")(batch)
