"""Fixtures that several tests use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import longclip
import pytest

from programs import command_line
from reference import weights_file


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
