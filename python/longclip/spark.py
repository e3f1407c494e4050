"""Spark: pictures through Python workers, a model each, which stay from task to task.

    classify = longclip.spark.Classify(["a cat", "a dog"], model="longclip-b", image="content")
    labelled = pictures.mapInArrow(classify, classify.schema(pictures))

`docs/scale.md` has whole programs. A worker that dies fails its task, and Spark does the task again.
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
    """For `mapInArrow`: gives batches back with `label`, `scores` and `error`; `options` are those of `longclip.batches.Batches`."""

    def __init__(self, labels: Labels | None, *, model: str, **options: Any) -> None:
        self._labels, self._options = labels, {"model": model, **options}

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        task = TaskContext.get()
        work = _kept(pickle.dumps((self._labels, {"threads": task.cpus() if task else None, **self._options})))
        for batch in batches:
            yield from _in_sparks_types(work(pa.Table.from_batches([batch]))).to_batches()

    def schema(self, frame: DataFrame) -> StructType:
        """The columns of the result: `mapInArrow`'s second argument. They are the same for any model, so that of the smallest is asked."""
        smallest = Batches(self._labels, **{**self._options, "model": "nano", "dtype": "f32"})
        schema = smallest.schema(to_arrow_schema(frame.schema))
        return from_arrow_schema(_in_sparks_types(schema.empty_table()).schema)


class Embed(Classify):
    """For `mapInArrow`: gives batches back with `embedding` and `error`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(None, **options)


@lru_cache(maxsize=1)
def _kept(asked: bytes) -> Batches:
    """What a worker has loaded for the task before this one, where that asked for the same."""
    labels, options = pickle.loads(asked)
    return Batches(labels, **options)


def _in_sparks_types(table: pa.Table) -> pa.Table:
    """Lists of any length: Spark knows none of a fixed one."""
    for place, field in enumerate(table.schema):
        if pa.types.is_fixed_size_list(field.type):
            lists = table.column(place).cast(pa.list_(field.type.value_type))
            table = table.set_column(place, field.name, lists)
    return table
