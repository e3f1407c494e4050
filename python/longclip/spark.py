"""Spark: runs images through Python workers, each with its own model, which it keeps from task to task.

    classify = longclip.spark.Classify(["a cat", "a dog"], model="longclip-b", image="content")
    labelled = images.mapInArrow(classify, classify.schema(images))

`docs/scale.md` has complete programs. If a worker dies, its task fails, and Spark runs the task again.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
from pyspark.sql.types import StructType

from .batches import Batches
from .classifier import Labels


class Classify:
    """For `mapInArrow`: adds `label`, `scores` and `error` to batches; `options` are those of `longclip.batches.Batches`."""

    def __init__(self, labels: Labels | None, *, model: str, **options: Any) -> None:
        self._labels, self._options = labels, {"model": model, **options}

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        task = TaskContext.get()
        work = _kept(pickle.dumps((self._labels, {"threads": task.cpus() if task else None, **self._options})))
        for batch in batches:
            yield from _in_sparks_types(work(pa.Table.from_batches([batch]))).to_batches()

    def schema(self, frame: DataFrame) -> StructType:
        """The schema of the result, for `mapInArrow`'s second argument. It is the same for every model, so nano is used."""
        smallest = Batches(self._labels, **{**self._options, "model": "nano", "dtype": "f32"})
        schema = smallest.schema(to_arrow_schema(frame.schema))
        return from_arrow_schema(_in_sparks_types(schema.empty_table()).schema)


class Embed(Classify):
    """For `mapInArrow`: adds `embedding` and `error` to batches."""

    def __init__(self, **options: Any) -> None:
        super().__init__(None, **options)


@lru_cache(maxsize=1)
def _kept(arguments: bytes) -> Batches:
    """The `Batches` of this worker's previous task if the arguments are the same, otherwise new ones."""
    labels, options = pickle.loads(arguments)
    return Batches(labels, **options)


def _in_sparks_types(table: pa.Table) -> pa.Table:
    """Converts fixed-size lists to lists of variable length, since Spark has no fixed-size lists."""
    for index, field in enumerate(table.schema):
        if pa.types.is_fixed_size_list(field.type):
            lists = table.column(index).cast(pa.list_(field.type.value_type))
            table = table.set_column(index, field.name, lists)
    return table
