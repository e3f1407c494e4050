"""Texts to token ids, as upstream's `tokenize`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _native
from .arrays import like, of_bytes
from .errors import TooLongError


def tokenize(texts: str | Sequence[str], context_length: int = 248, truncate: bool = False) -> Any:
    """Token ids `(n, context_length)`, padded with zeros: int32, a tensor where the program uses torch.

    A text of more tokens than fit is a `TooLongError`; with `truncate` its first ones are taken, and the end token.
    """
    texts = [texts] if isinstance(texts, str) else list(texts)
    data, counts = _native.tokenize(texts, context_length)
    for text, count in zip(texts, counts):
        if count > context_length and not truncate:
            start = text if len(text) <= 60 else f"{text[:60]}..."
            raise TooLongError(
                f"the text `{start}` has {count} tokens; {context_length} fit",
                "shorten it, or allow it to be cut with `truncate=True`",
            )
    return like(of_bytes(data, (len(texts), context_length), np.int32))
