"""Models that several tests use."""

from __future__ import annotations

from pathlib import Path

import longclip
import pytest

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
