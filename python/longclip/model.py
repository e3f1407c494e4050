"""A model and its preprocessing, as upstream's `load` returns them."""

from __future__ import annotations

import os
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _native
from ._requests import ModelRequest
from .arrays import Array, is_tensor, like, of_array, of_bytes, to_numpy
from .errors import LongclipWarning, UsageError
from .pictures import as_picture, as_pictures
from .text import tokenize

_DTYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


def load(
    name: str | None = None,
    device: Any = "cpu",
    *,
    dtype: Any = "f32",
    threads: int | None = None,
    activation: str | None = None,
    stretch: bool = True,
    upstream_rounding: bool = False,
    ignore_surplus: bool = False,
    positions: str | None = None,
) -> tuple[Model, Preprocess]:
    """Loads a model and its preprocessing.

    `name` is the path of a `.pt` or `.safetensors` file or of a folder, `nano` (built in), a known name (`longclip-b`) or
    `owner/repo` on the Hugging Face hub. The default is `$LONGCLIP_MODEL`, then longclip-b if it is on this machine, then nano.
    `dtype` is `f32`, `bf16` or `int8` (on a GPU also `f16`). `threads` is the number of CPU threads, by default one per physical
    core. The other arguments are the command line's flags of the same names.
    """
    model = Model(
        {
            "name": None if name is None else str(name),
            "device": str(device).replace("mps", "metal"),
            "dtype": _dtype(dtype),
            "threads": threads,
            "activation": activation,
            "stretch": stretch,
            "upstream_rounding": upstream_rounding,
            "ignore_surplus": ignore_surplus,
            "positions": positions,
        }
    )
    if model.native.notice:
        warnings.warn(model.native.notice, LongclipWarning, stacklevel=2)
    return model, Preprocess(model.input_resolution)


def _dtype(dtype: Any) -> str:
    """The number type's name; also accepts `torch.bfloat16`, `numpy.float32` and their names."""
    name = getattr(dtype, "__name__", str(dtype)).removeprefix("torch.")
    return _DTYPES.get(name, name)


class Preprocess:
    """Turns an image into the normalised pixels `(3, R, R)` that a model reads, equal to Pillow's resize to the bit.

    An image from a file is rotated as its EXIF says; a Pillow image is used unchanged, as upstream does.
    """

    def __init__(self, input_resolution: int) -> None:
        self.native = _native.Preprocess(input_resolution)

    def __call__(self, image: Any) -> Any:
        resolution = self.native.resolution_px
        pixels = of_bytes(self.native.pixels(as_picture(image)), (3, resolution, resolution))
        return like(pixels, image)

    def __repr__(self) -> str:
        return f"Preprocess({self.native.resolution_px})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Preprocess, (self.native.resolution_px,)


class Model:
    """A Long-CLIP model. It is pickled as its name and loaded again on unpickling."""

    def __init__(self, request: ModelRequest) -> None:
        self.native = _native.Model(request)
        self.name = self.native.name
        self._request: ModelRequest = {**request, "name": _anywhere(self.name)}
        self.dtype = self.native.dtype
        self.embed_dim = self.native.embed_dim
        self.context_length = self.native.context_length
        self.input_resolution = self.native.input_resolution
        self.visual = SimpleNamespace(input_resolution=self.input_resolution, output_dim=self.embed_dim)

    def __repr__(self) -> str:
        return f"<longclip.Model {self.name}: {self.input_resolution} px, {self.context_length} tokens, {self.dtype}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Model, (self._request,)

    @property
    def logit_scale(self) -> Any:
        """The logarithm of the factor for cosines, as in the checkpoint; the factor is `model.logit_scale.exp()`."""
        return like(of_array(np.float32(np.log(self.native.multiplier))))

    def encode_image(self, image: Any, *, fit: str | None = None) -> Any:
        """Returns embeddings `(n, embed_dim)`, not normalised.

        `image` is normalised pixels `(n, 3, R, R)` from `preprocess`, or one image or a list of them: paths, bytes of files,
        Pillow images, or arrays of 8-bit pixels. The first image that cannot be used raises a `PictureError`. `fit` is
        `crop`, `pad` or `squash`, by default as the model was trained, which is `crop` for CLIP.
        """
        pixels = _normalised(image)
        if pixels is None:
            pictures = as_pictures(image)
            data = self.native.encode_pictures(pictures, fit)
            return like(of_bytes(data, (len(pictures), self.embed_dim)), image)
        if fit is not None:
            raise UsageError("`fit` with pixels that are already prepared", "omit it, or give the images themselves")
        pixels = pixels[None] if pixels.ndim == 3 else pixels
        expected = (3, self.input_resolution, self.input_resolution)
        if pixels.ndim != 4 or pixels.shape[1:] != expected:
            raise UsageError(
                f"pixels of {pixels.shape}; this model reads {('n', *expected)}",
                "prepare images with the `preprocess` of this model",
            )
        data = self.native.encode_pixels(pixels.astype(np.float32).tobytes(), len(pixels))
        return like(of_bytes(data, (len(pixels), self.embed_dim)), image)

    def encode_text(self, text: Any) -> Any:
        """Returns embeddings `(n, embed_dim)`, not normalised, of token ids `(n, n_tokens)`, one text or several."""
        ids = self._ids(text)
        data = self.native.encode_token_ids(ids.tobytes(), len(ids))
        return like(of_bytes(data, (len(ids), self.embed_dim)), text)

    def encode_text_full(self, text: Any) -> Any:
        """Returns hidden states `(n, n_tokens, width)` after the final norm, as used by diffusion pipelines."""
        ids = self._ids(text)
        data = self.native.encode_token_ids_hidden(ids.tobytes(), len(ids))
        return like(of_bytes(data, (*ids.shape, self.native.text_width)), text)

    def __call__(self, image: Any, text: Any) -> tuple[Any, Any]:
        """Returns `logits_per_image` `(n_images, n_texts)` and `logits_per_text`: `exp(logit_scale) * cosine`."""
        images, texts = (_unit(self.encode_image(image)), _unit(self.encode_text(text)))
        logits = of_array((self.native.multiplier * images @ texts.T).astype(np.float32))
        # Both are of the same kind, so that they can be multiplied with each other.
        return like(logits, image, text), like(of_array(np.ascontiguousarray(logits.T)), image, text)

    def _ids(self, text: Any) -> npt.NDArray[np.uint32]:
        """Token ids `(n, n_tokens)`."""
        if isinstance(text, str) or (isinstance(text, (list, tuple)) and all(isinstance(one, str) for one in text)):
            text = tokenize(text, self.context_length)
        ids = to_numpy(text)
        ids = ids[None] if ids.ndim == 1 else ids
        if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer):
            raise UsageError(
                f"token ids of {ids.shape}, {ids.dtype}", "give texts, or token ids from `longclip.tokenize`"
            )
        if ids.size and (ids.min() < 0 or ids.max() >= 2**32):
            raise UsageError(f"token ids from {ids.min()} to {ids.max()}", "ids are indices into the model's vocabulary")
        return ids.astype(np.uint32)

    def eval(self) -> Model:
        """Returns the model itself, which is always in this mode."""
        return self

    def float(self) -> Model:
        """Returns the model itself; `load(dtype=...)` chooses the number type."""
        return self

    def cpu(self) -> Model:
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Model:
        """Returns the model itself; it has no gradients. Use `longclip train` for training."""
        return self

    def to(self, *_: Any, **__: Any) -> Model:
        """Returns the model itself; `load(device=...)` chooses the device. Results are on the device of the input tensors."""
        return self


def _anywhere(name: str) -> str:
    """The name in a form that also works in another working folder."""
    return os.path.abspath(name) if os.path.exists(name) else name


def _normalised(image: Any) -> npt.NDArray[Any] | None:
    """Pixels that are already prepared: floats of one image or several, as an array or a list of arrays."""
    if isinstance(image, (list, tuple)) and image and all(is_tensor(one) or isinstance(one, np.ndarray) for one in image):
        parts = [to_numpy(one) for one in image]
        if all(np.issubdtype(part.dtype, np.floating) and part.shape == parts[0].shape for part in parts):
            return np.stack(parts)
        return None
    if not (isinstance(image, np.ndarray) or is_tensor(image)):
        return None
    pixels = to_numpy(image)
    return pixels if np.issubdtype(pixels.dtype, np.floating) else None


def _unit(embeddings: Any) -> npt.NDArray[np.float64]:
    """Rows scaled to unit length, in f64; rows of zeros stay zeros."""
    rows = to_numpy(embeddings).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


__all__ = ["Array", "Model", "Preprocess", "load"]
