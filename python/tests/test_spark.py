"""Spark on two workers gives the command line's rows, each once, even if a worker is killed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install './python[spark]'")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)

import longclip.spark
import pyarrow as pa
import pyarrow.parquet as pq
import pyspark
from pyspark.sql import SparkSession
from pyspark.sql.functions import regexp_replace

from killing import Killing, executor_of_this_worker
from photos import LABELS, Photos, check_rows


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A cluster of two executors on this machine, with one core each."""
    # Executors write into Spark's own folder, so make a copy of links.
    home = tmp_path_factory.mktemp("spark")
    for part in Path(pyspark.__file__).parent.iterdir():
        (home / part.name).symlink_to(part)
    os.environ |= {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "64")
    builder = builder.config("spark.executorEnv.PYTHONPATH", str(Path(__file__).parent))
    session = builder.config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def test_rows_from_parquet_equal_the_command_lines(spark: SparkSession, photos: Photos, tmp_path: Path) -> None:
    images = spark.read.parquet(str(photos.parquet)).repartition(8)
    classify = longclip.spark.Classify(LABELS, model="nano")
    schema = classify.schema(images)
    assert schema.fieldNames() == ["path", "number", "label", "scores", "error"]
    images.mapInArrow(classify, schema).write.parquet(str(tmp_path / "labelled"))
    check_rows(pq.read_table(tmp_path / "labelled"), photos)


def test_rows_from_a_folder_of_files_equal_the_command_lines(spark: SparkSession, photos: Photos, tmp_path: Path) -> None:
    images = spark.read.format("binaryFile").load(str(photos.folder)).drop("modificationTime", "length")
    images = images.withColumn("path", regexp_replace("path", "^file:", ""))
    classify = longclip.spark.Classify(LABELS, model="nano", image="content")
    images.mapInArrow(classify, classify.schema(images)).write.parquet(str(tmp_path / "labelled"))
    check_rows(pq.read_table(tmp_path / "labelled"), photos)


@pytest.mark.parametrize("victim", [os.getpid, executor_of_this_worker])
def test_the_task_of_a_killed_worker_is_repeated(
    spark: SparkSession, photos: Photos, tmp_path: Path, victim: Callable[[], int]
) -> None:
    killing = Killing(tmp_path / "killing", victim)
    classify = longclip.spark.Classify(LABELS, model="nano")

    def mortal(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from killing.work(batch, lambda: list(classify([batch])))

    killer = killing.begin()
    images = spark.read.parquet(str(photos.parquet)).repartition(8)
    images.mapInArrow(mortal, classify.schema(images)).write.parquet(str(tmp_path / "labelled"))
    killing.check(killer)
    check_rows(pq.read_table(tmp_path / "labelled"), photos)


def test_embeddings_equal_the_models(spark: SparkSession, photos: Photos, nano: Any) -> None:
    images = spark.read.parquet(str(photos.parquet / "0.parquet")).limit(5)
    embed = longclip.spark.Embed(model="nano", normalize=True)
    for row in images.mapInArrow(embed, embed.schema(images)).collect():
        if row.error is None:
            vector = nano[0].encode_image(row.path)[0]
            assert row.embedding == pytest.approx((vector / vector.norm()).tolist(), abs=1e-6)


def test_a_missing_model_argument_fails_before_the_job() -> None:
    with pytest.raises(TypeError, match="model"):
        longclip.spark.Classify(LABELS)  # type: ignore[call-arg]
