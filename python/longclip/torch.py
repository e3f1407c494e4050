"""`from longclip import torch`: PyTorch if it is installed, and otherwise the few functions of it that CLIP programs call.

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
    """Without torch there are no CUDA devices."""

    @staticmethod
    def is_available() -> bool:
        return False


@contextlib.contextmanager
def _no_op() -> Iterator[None]:
    """Does nothing, because there are no gradients to turn off."""
    yield


_STAND_INS: dict[str, Any] = {
    "cuda": _NoCuda,
    "no_grad": _no_op,
    "inference_mode": _no_op,
}


def __getattr__(name: str) -> Any:
    if _torch is not None:
        return getattr(_torch, name)
    if name in _STAND_INS:
        return _STAND_INS[name]
    raise AttributeError(f"`torch.{name}` needs PyTorch: `pip install torch`")
