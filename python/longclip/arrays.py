"""Numbers as a CLIP program expects them: torch's tensors where the program uses torch, numpy's arrays elsewhere.

What is made of a tensor is a tensor, on the same device; what is made of an array is an array; what is made of anything
else (a path, a picture of Pillow, a text) is a tensor if the program has imported torch. torch is never imported here.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt


class Array(np.ndarray[Any, np.dtype[Any]]):
    """A numpy array with those methods of a tensor that a program around CLIP calls, `image.unsqueeze(0).to(device)`."""

    def to(self, *_: Any, **__: Any) -> Array:
        """Itself: an array has no device."""
        return self

    def cpu(self) -> Array:
        return self

    def detach(self) -> Array:
        return self

    def float(self) -> Array:
        return of_array(self.astype(np.float32))

    def numpy(self) -> npt.NDArray[Any]:
        return self.view(np.ndarray)

    def t(self) -> Array:
        return self.T

    def exp(self) -> Array:
        return of_array(np.exp(self))

    def unsqueeze(self, dim: int) -> Array:
        return of_array(np.expand_dims(self, dim))

    def norm(self, p: int = 2, dim: int | None = None, keepdim: bool = False) -> Array:
        return of_array(np.linalg.norm(self.numpy(), ord=p, axis=dim, keepdims=keepdim))

    def softmax(self, dim: int) -> Array:
        raised = np.exp(self - self.max(axis=dim, keepdims=True))
        return of_array(raised / raised.sum(axis=dim, keepdims=True))

    def topk(self, k: int, dim: int = -1) -> tuple[Array, Array]:
        """The k largest, the largest first, equal ones in their order, and where they stand."""
        places = np.argsort(-self.numpy(), axis=dim, kind="stable").take(range(k), axis=dim)
        return of_array(np.take_along_axis(self.numpy(), places, axis=dim)), of_array(places)


def of_array(values: Any) -> Array:
    return np.asarray(values).view(Array)


def of_bytes(data: bytearray, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """An array over bytes of the compiled part, which nobody else holds: it may be written to."""
    return np.frombuffer(data, dtype=dtype).reshape(shape).view(Array)


def torch_module() -> Any:
    """torch, if the program has imported it."""
    module = sys.modules.get("torch")
    return module if hasattr(module, "Tensor") else None


def is_tensor(value: Any) -> bool:
    torch = torch_module()
    return torch is not None and isinstance(value, torch.Tensor)


def to_numpy(value: Any) -> npt.NDArray[Any]:
    """A tensor's or an array's numbers."""
    if is_tensor(value):
        value = value.detach().cpu()
        return np.asarray((value.float() if value.is_floating_point() else value).numpy())
    return np.asarray(value)


def like(array: Array, *sources: Any) -> Any:
    """The array, or the tensor of it, by what it was made of."""
    torch = torch_module()
    if torch is None:
        return array
    for source in sources:
        if isinstance(source, torch.Tensor):
            return torch.from_numpy(array.numpy()).to(source.device)
    if any(isinstance(source, np.ndarray) for source in sources):
        return array
    return torch.from_numpy(array.numpy())
