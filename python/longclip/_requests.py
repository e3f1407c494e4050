"""The arguments of the compiled part: one dictionary per call, so that every argument has a name."""

from __future__ import annotations

import os
from typing import TypedDict


class ModelRequest(TypedDict):
    name: str | None
    device: str
    dtype: str
    threads: int | None
    activation: str | None
    stretch: bool
    upstream_rounding: bool
    ignore_surplus: bool
    positions: str | None


class LabelsRequest(TypedDict):
    labels: list[tuple[str, list[str]]]
    labels_file: str | os.PathLike[str] | None
    templates: list[str]
    long_text: str
    score: str
    temperature: float | None
    reject: float | None


class OutputRequest(TypedDict):
    format: str
    top_k: int | None
    embeddings: bool
    on_error: str


class ColumnsRequest(TypedDict):
    embeddings: bool


class VectorsRequest(TypedDict):
    normalize: bool
    fit: str | None
