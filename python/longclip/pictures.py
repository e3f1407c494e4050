"""Converts images for the compiled part: paths, bytes of a file, Pillow images, and arrays or tensors of pixels."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._native import Picture
from .arrays import is_tensor, to_numpy
from .errors import PictureError, UsageError

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_SAME = ("L", "LA", "RGB", "RGBA", "CMYK")


def is_picture(value: Any) -> bool:
    """Whether this is one image, not several."""
    return isinstance(value, (str, os.PathLike, bytes, bytearray, memoryview, Picture)) or _is_pillow(value)


def as_list(images: Any) -> list[Any]:
    """The given images as a list: one, several, or an array of several."""
    if is_picture(images):
        return [images]
    if isinstance(images, np.ndarray) or is_tensor(images):
        return list(to_numpy(images)) if images.ndim == 4 else [images]
    if isinstance(images, Iterable):
        return list(images)
    raise TypeError(f"an image is a path, bytes, a PIL.Image or an array, not {type(images).__name__}")


def as_pictures(images: Any, names: Iterable[str] | None = None, *, one_each: bool = True) -> list[Picture]:
    """Images for the compiled part. Without `one_each`, a path may be a folder, an archive, a pattern or a URL."""
    given = as_list(images)
    if not given:
        raise UsageError("no images given", "give a path, or a list of images")
    all_names = list(names) if names is not None else [_name(image, index) for index, image in enumerate(given)]
    if len(all_names) != len(given):
        raise UsageError(f"{len(all_names)} names for {len(given)} images", "give one name per image")
    return [as_picture(image, name, one=one_each) for image, name in zip(given, all_names)]


def as_picture(image: Any, name: str = "image", *, one: bool = True) -> Picture:
    """One image for the compiled part; errors refer to it by `name`."""
    if isinstance(image, Picture):
        return image
    if isinstance(image, (str, os.PathLike)):
        return Picture.file(image) if one else Picture.named(image)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return Picture.encoded(name, bytes(image))
    if _is_pillow(image):
        return _of_pillow(image, name)
    if isinstance(image, np.ndarray) or is_tensor(image):
        return _of_pixels(to_numpy(image), name)
    raise TypeError(f"`{name}`: an image is a path, bytes, a PIL.Image or an array, not {type(image).__name__}")


def _name(image: Any, index: int) -> str:
    if isinstance(image, (str, os.PathLike)):
        return os.fsdecode(image)
    # An image that Pillow opened from a file has its name.
    return str(getattr(image, "filename", "") or f"image {index}")


def _is_pillow(value: Any) -> bool:
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def _of_pillow(image: Any, name: str) -> Picture:
    name = str(getattr(image, "filename", "") or name)
    try:
        if image.mode.startswith("I;16"):
            return _of_pixels(np.asarray(image), name)
        image = image if image.mode in _SAME else image.convert(_mode_for(image))
        return Picture.decoded(name, image.mode, image.size, image.tobytes())
    except (OSError, SyntaxError, EOFError) as problem:
        # Pillow reads a file only when its pixels are needed.
        raise PictureError(f"cannot use the image `{name}`: {problem}", None, name) from problem


def _mode_for(image: Any) -> str:
    """The mode to convert to: only colours and greys can be resized smoothly, not palette indices or single bits."""
    if image.mode == "1":
        return "L"
    if image.mode in ("PA", "RGBa") or (image.mode == "P" and "transparency" in image.info):
        return "RGBA"
    return "LA" if image.mode == "La" else "RGB"


def _of_pixels(pixels: npt.NDArray[Any], name: str) -> Picture:
    """8-bit or 16-bit pixels `(H, W)` or `(H, W, channels)`, or `(channels, H, W)` as torchvision reads them."""
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype != np.uint8:
        raise PictureError(
            f"cannot use the image `{name}`: its pixels are {pixels.dtype}, not uint8",
            "give normalised float pixels to `encode_image` as `(n, 3, R, R)`",
            name,
        )
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim == 3 and pixels.shape[2] not in _MODES and pixels.shape[0] in (1, 3, 4):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim != 3 or pixels.shape[2] not in _MODES:
        raise PictureError(
            f"cannot use the image `{name}`: an array of shape {pixels.shape} is not an image",
            "give `(height, width)` or `(height, width, channels)` with 1 to 4 channels",
            name,
        )
    height_px, width_px, channels = pixels.shape
    return Picture.decoded(name, _MODES[channels], (width_px, height_px), pixels.tobytes())
