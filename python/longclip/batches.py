"""Batches of Arrow through a model: what Ray's and Spark's workers have in common. Needs pyarrow.

A batch has a column of encoded pictures (`image`), or `path`, names of files and URLs; both, and `path` names the picture. It
comes back without the pictures and with columns of results, those of `longclip classify --in arrow --out arrow` (`docs/scale.md`).
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from .classifier import Classifier, Labels
from .errors import UsageError
from .model import load


class Batches:
    """A model, and labels where there are any, for any number of batches.

    `model` has to be named: by itself each worker would take what lies on its machine. A path is one that all of them can reach.
    Without `labels` the results are `embedding` and `error`, with them `label`, `scores`, `embedding` if `embeddings`, and `error`.
    `image` is the column of encoded pictures; `keep_image` gives it back. `options` are those of `Classifier`, for example
    `templates` or `score`.
    """

    def __init__(
        self,
        labels: Labels | None = None,
        *,
        model: str,
        dtype: str = "f32",
        threads: int | None = None,
        image: str = "image",
        keep_image: bool = False,
        embeddings: bool = False,
        normalize: bool = False,
        **options: Any,
    ) -> None:
        if labels is None and (embeddings or options):
            unused = ", ".join(f"`{name}`" for name in (["embeddings"] if embeddings else []) + sorted(options))
            raise UsageError(f"{unused} without labels", "give `labels`, or leave it out: vectors are the result then")
        if labels is not None and normalize:
            raise UsageError("`normalize` with labels", "leave it out: it makes vectors alone unit length")
        self._image, self._keep_image = image, keep_image
        self._embeddings, self._normalize = embeddings, normalize
        self._model = load(model, dtype=dtype, threads=threads)[0]
        self._classifier = None if labels is None else Classifier(labels, self._model, **options)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The same rows in the same order, with their results."""
        stream = self._stream(batch)
        if self._classifier is None:
            widened = self._model.native.widen(stream, {"normalize": self._normalize})
        else:
            widened = self._classifier.native.widen(stream, {"embeddings": self._embeddings})
        table = pa.ipc.open_stream(pa.py_buffer(widened)).read_all()
        if self._image not in batch.column_names:
            return table
        if not self._keep_image:
            return table.drop_columns(["image"])
        return table.rename_columns([self._image if name == "image" else name for name in table.column_names])

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """The columns of what comes back for batches of these columns."""
        return self(schema.empty_table()).schema

    def _stream(self, batch: pa.Table) -> bytes:
        if self._image != "image" and self._image in batch.column_names:
            if "image" in batch.column_names:
                raise UsageError(
                    f"the batch has a column `image` beside `{self._image}`", "rename or drop the one that isn't meant"
                )
            names = ["image" if name == self._image else name for name in batch.column_names]
            batch = batch.rename_columns(names)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_table(batch)
        return bytes(sink.getvalue())
