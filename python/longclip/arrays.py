"""Results as torch tensors or numpy arrays.

A tensor as input gives a tensor on the same device, and an array gives an array. Anything else (a path, a Pillow image, a
text) gives a tensor if the program has imported torch, and an array if not. This module never imports torch.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt


class Array(np.ndarray[Any, np.dtype[Any]]):
    """A numpy array with the tensor methods that CLIP programs call, such as `image.unsqueeze(0).to(device)`."""

    def to(self, *_: Any, **__: Any) -> Array:
        """Returns the array itself, since arrays have no device."""
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
        exponentials = np.exp(self - self.max(axis=dim, keepdims=True))
        return of_array(exponentials / exponentials.sum(axis=dim, keepdims=True))

    def topk(self, k: int, dim: int = -1) -> tuple[Array, Array]:
        """The k largest values and their indices, the largest first; equal values keep their order."""
        indices = np.argsort(-self.numpy(), axis=dim, kind="stable").take(range(k), axis=dim)
        return of_array(np.take_along_axis(self.numpy(), indices, axis=dim)), of_array(indices)


def of_array(values: Any) -> Array:
    return np.asarray(values).view(Array)


def of_bytes(data: bytearray, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """An array over bytes from the compiled part. Nothing else refers to them, so the array is writeable."""
    return np.frombuffer(data, dtype=dtype).reshape(shape).view(Array)


def torch_module() -> Any:
    """torch, if the program has imported it."""
    module = sys.modules.get("torch")
    return module if hasattr(module, "Tensor") else None


def is_tensor(value: Any) -> bool:
    torch = torch_module()
    return torch is not None and isinstance(value, torch.Tensor)


def to_numpy(value: Any) -> npt.NDArray[Any]:
    """The values of a tensor or an array as a numpy array."""
    if is_tensor(value):
        value = value.detach().cpu()
        return np.asarray((value.float() if value.is_floating_point() else value).numpy())
    return np.asarray(value)


def like(array: Array, *sources: Any) -> Any:
    """The array itself or a tensor of it, depending on what it was computed from."""
    torch = torch_module()
    if torch is None:
        return array
    for source in sources:
        if isinstance(source, torch.Tensor):
            return torch.from_numpy(array.numpy()).to(source.device)
    if any(isinstance(source, np.ndarray) for source in sources):
        return array
    return torch.from_numpy(array.numpy())
