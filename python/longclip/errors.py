"""What goes wrong, as exceptions: each says what happened and what to do, and is an ordinary one of Python's as well.

All of them are `Error`; `except FileNotFoundError` or `except ValueError` works too. They travel between processes.
"""

from __future__ import annotations

from typing import Any


class Error(Exception):
    """Something longclip can't do. `message` says what happened, `hint` what to do about it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.hint)


class UsageError(Error, ValueError):
    """An argument that can't be right: a label without text, a number type that doesn't exist, an array of another shape."""


class TooLongError(UsageError, RuntimeError):
    """A text of more tokens than fit; upstream raises a RuntimeError."""


class PictureError(Error, ValueError):
    """A picture that can't be used; `name` is what it was called."""

    def __init__(self, message: str, hint: str | None = None, name: str = "") -> None:
        super().__init__(message, hint)
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.hint, self.name)


class FileError(Error, OSError):
    """A file that can't be read; `filename` and `errno` as in every OSError."""

    def __init__(
        self, message: str, hint: str | None = None, errno: int | None = None, filename: str | None = None
    ) -> None:
        super().__init__(message, hint)
        self.errno = errno
        self.filename = filename

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.hint, self.errno, self.filename)


class MissingFileError(FileError, FileNotFoundError):
    """A file that isn't there."""


class ModelError(Error):
    """A file that is no model, or a damaged one."""


class UnknownModelError(ModelError, FileNotFoundError):
    """No model goes by that name here."""


class NetworkError(Error, ConnectionError):
    """The hub or a URL could not be reached, or answered with something else."""


class ComputeError(Error, RuntimeError):
    """A device failed."""


class InternalError(Error, RuntimeError):
    """A defect in longclip."""


class LongclipWarning(UserWarning):
    """Something that a person should know and that is no reason to stop: a label was cut, another model is used."""
