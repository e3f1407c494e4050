"""The sessions in `docs/python.md` and the programs in `docs/scale.md` work as shown."""

from __future__ import annotations

import doctest
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from programs import run_python
from reference import ROOT


def test_sessions_in_the_python_page_print_what_they_show(monkeypatch: Any) -> None:
    monkeypatch.chdir(ROOT)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, n_tried = doctest.testfile(str(ROOT / "docs" / "python.md"), module_relative=False, optionflags=flags)
    assert (failed, n_tried > 8) == (0, True)


def programs(module: str) -> list[str]:
    """The complete programs in `docs/scale.md` that use this module."""
    blocks = (ROOT / "docs" / "scale.md").read_text().split("```python\n")[1:]
    found = [block.split("```")[0] for block in blocks]
    return [program for program in found if f"import {module}\n" in program]


@pytest.fixture
def folder(photos: Any, tmp_path: Path, monkeypatch: Any) -> Path:
    """A working folder with the files that the programs name. The small model has the name of the large one."""
    (tmp_path / "photos").symlink_to(photos.parquet)
    (tmp_path / "tars").symlink_to(photos.tars)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "longclip-b.safetensors").symlink_to(ROOT / "checkpoints" / "nano.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cluster(folder: Path) -> Iterator[str]:
    """The address of a running Ray cluster, whose workers run in the working folder."""
    pytest.importorskip("ray", reason="ray is not installed: pip install './python[ray]'")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 4, "include_dashboard": False, "object_store_memory": 300 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster.address
    cluster.shutdown()


def check_labelled(folder: Path, n_rows: int) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "labelled")
    assert table.num_rows == n_rows
    assert {"label", "scores", "error"} < set(table.column_names) and "image" not in table.column_names
    assert table.column("label").null_count == table.num_rows - table.column("error").null_count > 0
    shutil.rmtree(folder / "labelled")


def test_ray_programs_in_the_scale_page_label_images(photos: Any, folder: Path, cluster: str) -> None:
    from_parquet, from_tars = programs("longclip.ray")
    for program in (from_parquet, from_tars):
        run_python(program, cwd=folder, RAY_ADDRESS=cluster)
        check_labelled(folder, len(photos.rows))


def test_the_spark_program_in_the_scale_page_labels_images(photos: Any, folder: Path) -> None:
    pytest.importorskip("pyspark", reason="pyspark is not installed: pip install './python[spark]'")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    (program,) = programs("longclip.spark")
    run_python(program, cwd=folder, SPARK_LOCAL_IP="127.0.0.1", PYSPARK_PYTHON=sys.executable)
    check_labelled(folder, len(photos.rows))
