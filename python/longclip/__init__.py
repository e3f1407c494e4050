"""Long-CLIP without PyTorch: find which of your labels fits a photo. A label can be a whole paragraph.

    import longclip
    from PIL import Image

    model, preprocess = longclip.load("nano")  # the built-in model; or give the path of longclip-B.pt
    image = preprocess(Image.open("img/cat.jpg")).unsqueeze(0)
    text = longclip.tokenize(["A cat jumping.", "A cat sleeping."])
    logits_per_image, logits_per_text = model(image, text)
    print(logits_per_image.softmax(dim=-1))

    longclip.classify("img/cat.jpg", labels=["A cat jumping.", "A cat sleeping."])

See `docs/python.md` in the repository for more.
"""

from ._native import __version__
from .arrays import Array
from .classifier import Classifier, Record, classify
from .errors import (
    ComputeError,
    Error,
    FileError,
    InternalError,
    LongclipWarning,
    MissingFileError,
    ModelError,
    NetworkError,
    PictureError,
    TooLongError,
    UnknownModelError,
    UsageError,
)
from .model import Model, Preprocess, load
from .text import tokenize

__all__ = [
    "Array",
    "Classifier",
    "ComputeError",
    "Error",
    "FileError",
    "InternalError",
    "LongclipWarning",
    "MissingFileError",
    "Model",
    "ModelError",
    "NetworkError",
    "PictureError",
    "Preprocess",
    "Record",
    "TooLongError",
    "UnknownModelError",
    "UsageError",
    "__version__",
    "classify",
    "load",
    "tokenize",
]
