"""Ray Data on two workers gives the command line's rows, each once, even if a worker is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="ray is not installed: pip install './python[ray]'")

import longclip.ray
import pyarrow as pa
import pyarrow.parquet as pq
import ray.data

from killing import Killing
from photos import LABELS, Photos, check_rows

# One per worker, and one for reading and writing.
N_CPUS = 3


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    tests = {"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}}
    ray.init(
        num_cpus=N_CPUS, include_dashboard=False, log_to_driver=False, object_store_memory=300 << 20, runtime_env=tests
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def on_two_workers(images: Any, work: Any, **options: Any) -> Any:
    # Two thousand small photos would fit into one block, which goes to a single worker.
    return images.repartition(16).map_batches(
        work,
        fn_constructor_kwargs={"labels": LABELS, "model": "nano", **options},
        batch_format="pyarrow",
        batch_size=64,
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=2),
    )


def test_rows_from_parquet_equal_the_command_lines(cluster: None, photos: Photos, tmp_path: Path) -> None:
    images = ray.data.read_parquet(str(photos.parquet))
    on_two_workers(images, longclip.ray.Classify).write_parquet(str(tmp_path / "labelled"))
    table = pq.read_table(tmp_path / "labelled")
    assert set(table.column_names) == {"path", "number", "label", "scores", "error"}
    check_rows(table, photos)


def test_rows_from_tars_equal_the_command_lines(cluster: None, photos: Photos) -> None:
    images = ray.data.read_webdataset(str(photos.tars), decoder=None)
    table = pa.concat_tables(ray.get(on_two_workers(images, longclip.ray.Classify, image="jpg").to_arrow_refs()))
    keys = [f"{photos.folder}/{key}.jpg" for key in table.column("__key__").to_pylist()]
    labelled = {path: row[:2] for path, row in photos.rows.items()}
    ours = dict(zip(keys, zip(table.column("label").to_pylist(), table.column("scores").to_pylist())))
    assert len(keys) == len(ours) == len(labelled)
    for path, (label, scores) in labelled.items():
        assert ours[path][0] == label
        assert scores is None or ours[path][1] == pytest.approx(scores, abs=1e-7)


def test_batches_of_a_killed_worker_are_repeated(cluster: None, photos: Photos, tmp_path: Path) -> None:
    killing = Killing(tmp_path / "killing")

    class Mortal(longclip.ray.Classify):
        def __call__(self, batch: pa.Table) -> pa.Table:
            return killing.work(batch, lambda: super(Mortal, self).__call__(batch))

    killer = killing.begin()
    images = ray.data.read_parquet(str(photos.parquet))
    on_two_workers(images, Mortal).write_parquet(str(tmp_path / "labelled"))
    killing.check(killer)
    check_rows(pq.read_table(tmp_path / "labelled"), photos)


def test_an_actor_uses_as_many_threads_as_its_cpus(cluster: None) -> None:
    @ray.remote(num_cpus=2)
    class Asks:
        def threads(self) -> int:
            return longclip.ray.Embed(model="nano")._batches._model.native.threads

    assert ray.get(Asks.remote().threads.remote()) == 2


def test_embeddings_equal_the_models(cluster: None, photos: Photos, nano: Any) -> None:
    images = ray.data.read_parquet(str(photos.parquet / "0.parquet"))
    embedded = images.map_batches(
        longclip.ray.Embed,
        fn_constructor_kwargs={"model": "nano"},
        batch_format="pyarrow",
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=1),
    )
    for row in embedded.take(5):
        if row["error"] is None:
            assert (row["embedding"] == nano[0].encode_image(row["path"])[0]).all()
