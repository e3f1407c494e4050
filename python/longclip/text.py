"""Turns texts into token ids, like upstream's `tokenize`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _native
from .arrays import like, of_bytes
from .errors import TooLongError


def tokenize(texts: str | Sequence[str], context_length: int = 248, truncate: bool = False) -> Any:
    """Returns token ids `(n, context_length)`, int32, padded with zeros; a tensor if the program has imported torch.

    A text with more tokens than fit raises a `TooLongError`. With `truncate`, its first tokens and the end token are used.
    """
    texts = [texts] if isinstance(texts, str) else list(texts)
    data, counts = _native.tokenize(texts, context_length)
    for text, count in zip(texts, counts):
        if count > context_length and not truncate:
            start = text if len(text) <= 60 else f"{text[:60]}..."
            raise TooLongError(
                f"the text `{start}` has {count} tokens; {context_length} fit",
                "shorten it, or pass `truncate=True`",
            )
    return like(of_bytes(data, (len(texts), context_length), np.int32))
