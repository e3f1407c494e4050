"""Pictures as programs have them: paths, bytes of a file, pictures of Pillow, arrays and tensors of pixels."""

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
    """Whether this is one picture, and not several."""
    return isinstance(value, (str, os.PathLike, bytes, bytearray, memoryview, Picture)) or _is_pillow(value)


def as_list(images: Any) -> list[Any]:
    """The pictures that were given: one, several, or an array of several."""
    if is_picture(images):
        return [images]
    if isinstance(images, np.ndarray) or is_tensor(images):
        return list(to_numpy(images)) if images.ndim == 4 else [images]
    if isinstance(images, Iterable):
        return list(images)
    raise TypeError(f"a picture is a path, bytes, a PIL.Image or an array, not {type(images).__name__}")


def as_pictures(images: Any, names: Iterable[str] | None = None, *, one_each: bool = True) -> list[Picture]:
    """Pictures for the compiled part. Unless there is to be one each, a path may be a folder, an archive or a URL."""
    given = as_list(images)
    if not given:
        raise UsageError("no pictures given", "give a path, or a list of pictures")
    called = list(names) if names is not None else [_name(image, place) for place, image in enumerate(given)]
    if len(called) != len(given):
        raise UsageError(f"{len(called)} names for {len(given)} pictures", "give each picture its name")
    return [as_picture(image, name, one=one_each) for image, name in zip(given, called)]


def as_picture(image: Any, name: str = "picture", *, one: bool = True) -> Picture:
    """One picture for the compiled part; `name` is what errors call it."""
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
    raise TypeError(f"`{name}`: a picture is a path, bytes, a PIL.Image or an array, not {type(image).__name__}")


def _name(image: Any, place: int) -> str:
    if isinstance(image, (str, os.PathLike)):
        return os.fsdecode(image)
    # Pillow knows the file of a picture that it has opened.
    return str(getattr(image, "filename", "") or f"picture {place}")


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
        # Pillow reads a file when its pixels are asked for.
        raise PictureError(f"cannot use the picture `{name}`: {problem}", None, name) from problem


def _mode_for(image: Any) -> str:
    """Colours instead of places in a palette, grey instead of bits: nothing else can be resized smoothly."""
    if image.mode == "1":
        return "L"
    if image.mode in ("PA", "RGBa") or (image.mode == "P" and "transparency" in image.info):
        return "RGBA"
    return "LA" if image.mode == "La" else "RGB"


def _of_pixels(pixels: npt.NDArray[Any], name: str) -> Picture:
    """Pixels `(H, W)` or `(H, W, channels)`, or `(channels, H, W)` as torchvision reads them; of 8 or 16 bits."""
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype != np.uint8:
        raise PictureError(
            f"cannot use the picture `{name}`: its pixels are {pixels.dtype}, not uint8",
            "normalised pixels of floats go to `encode_image` as `(n, 3, R, R)`",
            name,
        )
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim == 3 and pixels.shape[2] not in _MODES and pixels.shape[0] in (1, 3, 4):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim != 3 or pixels.shape[2] not in _MODES:
        raise PictureError(
            f"cannot use the picture `{name}`: an array of {pixels.shape} is no picture",
            "give `(height, width)` or `(height, width, channels)` with 1 to 4 channels",
            name,
        )
    height_px, width_px, channels = pixels.shape
    return Picture.decoded(name, _MODES[channels], (width_px, height_px), pixels.tobytes())
