"""Classification: which of the labels fits each image, as records like those of the command line."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from . import _native
from .errors import LongclipWarning, UsageError
from .model import Model, load
from .pictures import as_pictures

Labels = Sequence[str] | Mapping[str, str | Sequence[str]] | os.PathLike[str]
Record = dict[str, Any]


class Classifier:
    """Labels that are encoded once, for any number of images.

    `labels` are names, names with the prompts that the model reads for each, or the path of a label file
    (`docs/labels.md`). `templates` turn names into prompts, for example `"a photo of a {}."`; they may also be
    `imagenet80` or `imagenet7`. `score` is `softmax`, `independent`, `cosine` or `raw-dot`. `reject` adds the answer "none
    of these", which wins unless a label is this many logits above the neutral prompts (`docs/scores.md`; the command
    line's default is 0.5). `fit` says how an image becomes what the model reads: `crop`, `pad`, `squash`, or `tiles` and
    `tiles-mean`, which read overlapping squares of a large photo or a panorama and give each label its best or its mean
    score among them. Labels that are too long are truncated with a warning; `long_text="error"` refuses them, and
    `"chunk"` reads them in parts.
    """

    def __init__(
        self,
        labels: Labels,
        model: Model | str | None = None,
        *,
        templates: str | Iterable[str] = (),
        long_text: str = "truncate",
        score: str = "softmax",
        temperature: float | None = None,
        reject: float | None = None,
        fit: str | None = None,
    ) -> None:
        if isinstance(labels, str):
            raise UsageError(f"the labels are a single text, `{labels}`", "give a list: `labels=[\"a cat\", \"a dog\"]`")
        self.model = model if isinstance(model, Model) else _loaded(model)
        self.native = _native.Classifier(
            self.model.native,
            {
                "labels": [] if isinstance(labels, os.PathLike) else _with_prompts(labels),
                "labels_file": labels if isinstance(labels, os.PathLike) else None,
                "templates": [templates] if isinstance(templates, str) else list(templates),
                "long_text": long_text,
                "score": score,
                "temperature": temperature,
                "reject": reject,
            },
            fit,
        )
        self.answers: list[str] = self.native.answers
        for notice in self.native.notices:
            warnings.warn(notice, LongclipWarning, stacklevel=2)

    def classify(
        self,
        images: Any,
        *,
        names: Iterable[str] | None = None,
        top_k: int | None = None,
        embeddings: bool = False,
        on_error: str = "fail",
    ) -> list[Record]:
        """Returns one record per image, in order: `path`, and `labels` with their numbers, the likeliest first.

        `images` is one image or several: paths, bytes of files, Pillow images, or arrays of 8-bit pixels. A path may be a
        folder, a tar archive, a pattern or a URL. An image that cannot be used raises an exception or, with
        `on_error="skip"`, becomes a record with `error`.
        """
        pictures = as_pictures(images, names, one_each=False)
        written = self.run(pictures, "ndjson", top_k=top_k, embeddings=embeddings, on_error=on_error)
        return [json.loads(line) for line in written.splitlines()]

    def run(
        self,
        pictures: list[_native.Picture],
        format: str,
        *,
        top_k: int | None = None,
        embeddings: bool = False,
        on_error: str = "fail",
    ) -> bytes:
        """Returns the bytes of an output file in one of the command line's formats."""
        if top_k is not None and top_k < 1:
            raise UsageError(f"`top_k` is {top_k}", "give at least 1, or omit it for all labels")
        return self.native.run(
            pictures, {"format": format, "top_k": top_k, "embeddings": embeddings, "on_error": on_error}
        )


def classify(images: Any, labels: Labels, model: Model | str | None = None, **options: Any) -> list[Record]:
    """Says which of the labels fits each image: `Classifier(labels, model, ...).classify(images, ...)` in one call.

    `options` are those of both: `templates`, `long_text`, `score`, `temperature`, `reject`, `fit`; `names`, `top_k`,
    `embeddings`, `on_error`. A model given by name is loaded once and kept.
    """
    of_run = {key: options.pop(key) for key in ("names", "top_k", "embeddings", "on_error") if key in options}
    return Classifier(labels, model, **options).classify(images, **of_run)


@lru_cache(maxsize=2)
def _loaded(name: str | None) -> Model:
    return load(name)[0]


def _with_prompts(labels: Any) -> list[tuple[str, list[str]]]:
    if not isinstance(labels, Mapping):
        return [(label, []) for label in labels]
    return [(name, [prompts] if isinstance(prompts, str) else list(prompts)) for name, prompts in labels.items()]
