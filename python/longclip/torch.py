"""`from longclip import torch`: PyTorch where it is installed, else what a program around CLIP calls of it.

`torch.no_grad()`, `torch.inference_mode()` and `torch.cuda.is_available()` are enough for Long-CLIP's own example.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

_torch: ModuleType | None
try:
    _torch = import_module("torch")
except ImportError:
    _torch = None


class _NoCuda:
    """No torch, no cards of its."""

    @staticmethod
    def is_available() -> bool:
        return False


@contextlib.contextmanager
def _nothing_to_switch_off() -> Iterator[None]:
    """Gradients are not kept here in any case."""
    yield


_STAND_INS: dict[str, Any] = {
    "cuda": _NoCuda,
    "no_grad": _nothing_to_switch_off,
    "inference_mode": _nothing_to_switch_off,
}


def __getattr__(name: str) -> Any:
    if _torch is not None:
        return getattr(_torch, name)
    if name in _STAND_INS:
        return _STAND_INS[name]
    raise AttributeError(f"`torch.{name}` needs PyTorch: `pip install torch`")
