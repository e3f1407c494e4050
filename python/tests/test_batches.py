"""Arrow batches with their result columns: what Ray and Spark workers do, without Ray or Spark."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import longclip
from reference import ROOT

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

from longclip.batches import Batches

CAT = ROOT / "img" / "cat.jpg"
LABELS = ["a ship", "A cat jumping."]


def table(**columns: Any) -> Any:
    return pa.table({"n": [7, 8, 9], "image": [CAT.read_bytes(), b"not an image", None], **columns})


def test_rows_keep_their_order_and_a_bad_row_has_an_error() -> None:
    labelled = Batches(LABELS, model="nano", embeddings=True)(table(path=["x.jpg", None, None]))
    assert labelled.column_names == ["n", "path", "label", "scores", "embedding", "error"]
    first, second, third = labelled.to_pylist()
    record = longclip.classify(CAT, LABELS, "nano")[0]
    expected = {label["label"]: label["probability"] for label in record["labels"]}
    assert (first["n"], first["label"], first["error"]) == (7, "A cat jumping.", None)
    assert np.float32(first["scores"]).tolist() == np.float32([expected[label] for label in LABELS]).tolist()
    assert len(first["embedding"]) == 256
    for row, name in ((second, "row 2"), (third, "row 3")):
        assert row["label"] is row["scores"] is row["embedding"] is None
        assert name in row["error"]


def test_the_image_column_may_have_any_name_and_can_be_kept() -> None:
    renamed = table().rename_columns(["n", "content"])
    kept = Batches(LABELS, model="nano", image="content", keep_image=True)(renamed)
    assert kept.column_names == ["n", "content", "label", "scores", "error"]
    assert kept.column("content").to_pylist() == renamed.column("content").to_pylist()
    paths = Batches(LABELS, model="nano")(pa.table({"path": [str(CAT), "missing.jpg"]})).to_pylist()
    assert paths[0]["label"] == "A cat jumping." and "missing.jpg" in paths[1]["error"]


def test_embeddings_without_labels_are_the_models_or_normalised(nano: Any) -> None:
    plain = Batches(model="nano")(table())
    assert plain.column_names == ["n", "embedding", "error"]
    vector = np.array(plain.column("embedding").to_pylist()[0])
    assert (vector == nano[0].encode_image(CAT)[0]).all()
    unit = Batches(model="nano", normalize=True)(table())
    assert abs(np.linalg.norm(unit.column("embedding").to_pylist()[0]) - 1) < 1e-6
    assert Batches(model="nano").schema(table().schema) == plain.schema


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"other": [1]}, "neither a column `path` nor `image`"),
        ({"image": [1]}, "`image`"),
        ({"path": ["a"], "error": ["b"]}, "already has a column `error`"),
    ],
)
def test_wrong_columns_are_errors(columns: dict[str, Any], says: str) -> None:
    with pytest.raises(longclip.UsageError, match=says):
        Batches(LABELS, model="nano")(pa.table(columns))


def test_arguments_without_an_effect_are_refused() -> None:
    for options in ({"embeddings": True}, {"templates": "imagenet7"}):
        with pytest.raises(longclip.UsageError, match="without labels"):
            Batches(model="nano", **options)
    with pytest.raises(longclip.UsageError, match="`normalize` with labels"):
        Batches(LABELS, model="nano", normalize=True)
    with pytest.raises(longclip.UsageError, match="in addition to `content`"):
        Batches(LABELS, model="nano", image="content")(pa.table({"image": [b""], "content": [b""]}))
