"""Exceptions. Each says what happened and what to do, and most are also one of Python's built-in exceptions.

All are subclasses of `Error`, but `except FileNotFoundError` or `except ValueError` works too. They can be pickled.
"""

from __future__ import annotations

from typing import Any


class Error(Exception):
    """The base class. `message` says what happened, and `hint` says what to do about it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.hint)


class UsageError(Error, ValueError):
    """An invalid argument, such as an empty label, an unknown number type, or an array of the wrong shape."""


class TooLongError(UsageError, RuntimeError):
    """A text with more tokens than fit. It is also a RuntimeError, which upstream raises."""


class PictureError(Error, ValueError):
    """An image that cannot be used; `name` says which one."""

    def __init__(self, message: str, hint: str | None = None, name: str = "") -> None:
        super().__init__(message, hint)
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.hint, self.name)


class FileError(Error, OSError):
    """A file that cannot be read or written, with `filename` and `errno` as in every OSError."""

    def __init__(
        self, message: str, hint: str | None = None, errno: int | None = None, filename: str | None = None
    ) -> None:
        super().__init__(message, hint)
        self.errno = errno
        self.filename = filename

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.hint, self.errno, self.filename)


class MissingFileError(FileError, FileNotFoundError):
    """A file that does not exist."""


class ModelError(Error):
    """A file that is not a model, or is damaged."""


class UnknownModelError(ModelError, FileNotFoundError):
    """The name of a model that is unknown and not on this machine."""


class NetworkError(Error, ConnectionError):
    """The hub or a URL could not be reached, or gave an unexpected answer."""


class ComputeError(Error, RuntimeError):
    """A device failed."""


class InternalError(Error, RuntimeError):
    """A bug in longclip."""


class LongclipWarning(UserWarning):
    """Something to know that is not an error: for example, a label was truncated, or a default model is used."""
