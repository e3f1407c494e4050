"""Fixtures that several tests use."""

from __future__ import annotations

import importlib.util
import os
import zipfile
from pathlib import Path
from typing import Any

import longclip
import pytest

from programs import command_line
from reference import weights_file


@pytest.fixture(scope="session", autouse=True)
def snappy_of_glibc(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Lets Spark load snappy for glibc on a machine that has musl's loader too (Debian's package musl).

    snappy-java takes that loader as the sign of a system without glibc: xerial/snappy-java#692.
    """
    spark = importlib.util.find_spec("pyspark")
    if spark is None or spark.origin is None or not Path("/lib/ld-musl-x86_64.so.1").exists():
        return
    (jar,) = (Path(spark.origin).parent / "jars").glob("snappy-java-*.jar")
    folder = tmp_path_factory.mktemp("snappy")
    with zipfile.ZipFile(jar) as archive:
        library = archive.read("org/xerial/snappy/native/Linux/x86_64/libsnappyjava.so")
    (folder / "libsnappyjava.so").write_bytes(library)
    os.environ["JAVA_TOOL_OPTIONS"] = f"-Dorg.xerial.snappy.lib.path={folder}"


@pytest.fixture(scope="session")
def nano() -> tuple[longclip.Model, longclip.Preprocess]:
    return longclip.load("nano")


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weights_file("tiny", tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def b_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weights_file("B", tmp_path_factory.mktemp("B"))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Any:
    pytest.importorskip("pyarrow")
    if command_line() is None:
        pytest.skip("the command line is not built")
    from photos import made

    return made(tmp_path_factory.mktemp("photos"))
