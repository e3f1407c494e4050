"""Runs Arrow batches through a model: the common part of the Ray and Spark workers. Needs pyarrow.

A batch has a column `image` with encoded images, or a column `path` with file names or URLs. With both, `path` is the
name of the image. The batch comes back without the images, and with the result columns of
`longclip classify --in arrow --out arrow` (`docs/scale.md`).
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from .classifier import Classifier, Labels
from .errors import UsageError
from .model import load


class Batches:
    """A model, with or without labels, for any number of batches.

    `model` is required, because the default depends on what is on a worker's machine. A path must be one that all workers
    can reach. Without `labels`, the result columns are `embedding` and `error`. With labels, they are `label`, `scores`,
    `error`, and `embedding` if `embeddings` is set. `image` is the column with encoded images, which is only returned with
    `keep_image`. `fit` is that of `Classifier`; embeddings are only possible without tiles. `options` are those of
    `Classifier`, for example `templates` or `score`.
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
        fit: str | None = None,
        **options: Any,
    ) -> None:
        if labels is None and (embeddings or options):
            unused = ", ".join(f"`{name}`" for name in (["embeddings"] if embeddings else []) + sorted(options))
            raise UsageError(f"{unused} without labels", "give `labels`, or omit it; the result is then embeddings only")
        if labels is not None and normalize:
            raise UsageError("`normalize` with labels", "omit it: it only applies to embeddings without labels")
        self._image, self._keep_image = image, keep_image
        self._embeddings, self._normalize, self._fit = embeddings, normalize, fit
        self._model = load(model, dtype=dtype, threads=threads)[0]
        self._classifier = None if labels is None else Classifier(labels, self._model, fit=fit, **options)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Returns the same rows in the same order, with their results."""
        stream = self._stream(batch)
        if self._classifier is None:
            widened = self._model.native.widen(stream, {"normalize": self._normalize, "fit": self._fit})
        else:
            widened = self._classifier.native.widen(stream, {"embeddings": self._embeddings})
        table = pa.ipc.open_stream(pa.py_buffer(widened)).read_all()
        if self._image not in batch.column_names:
            return table
        if not self._keep_image:
            return table.drop_columns(["image"])
        return table.rename_columns([self._image if name == "image" else name for name in table.column_names])

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """The schema of the results for batches with this schema."""
        return self(schema.empty_table()).schema

    def _stream(self, batch: pa.Table) -> bytes:
        if self._image != "image" and self._image in batch.column_names:
            if "image" in batch.column_names:
                raise UsageError(
                    f"the batch has a column `image` in addition to `{self._image}`", "rename or drop one of them"
                )
            names = ["image" if name == self._image else name for name in batch.column_names]
            batch = batch.rename_columns(names)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_table(batch)
        return bytes(sink.getvalue())
