"""What operations raise. Messages name values and limits, never keys or values of the store."""

import builtins


class Error(Exception):
    """Base of all errors of this module."""

    failed: "dict[int, Error]"
    """From Store.set_many and Store.update: which items failed and why, by place in the batch. Else empty."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.failed = {}


class InvalidArgumentError(Error, ValueError):
    """An argument lies outside its documented range."""


class TooLargeError(Error, ValueError):
    """A key or a value is longer than the store takes."""


class FullError(Error):
    """The entry does not fit beside what is live. Nothing was changed."""


class NotANumberError(Error, ValueError):
    """The value is not a canonical decimal integer of up to 20 bytes."""


class OverflowError(Error, builtins.OverflowError):
    """The number, or the sum, lies outside the range of a signed 64-bit integer. Nothing was changed."""


class BusyError(Error):
    """As much is pinned as the store allows. Let go of a pin and try again."""


class LockedError(Error):
    """The file is open already, in this process or another."""


class IoError(Error, OSError):
    """The operating system failed to do something with the file."""


class VersionError(Error):
    """The file, which the message names, was written by a version of this library with another format."""


class PoisonedError(Error):
    """An earlier failure to write or sync left it unknown what is durable. Open the store again."""


class ReadOnlyError(Error):
    """The store was opened for reading only."""


class UnsupportedError(Error):
    """Something that this library knows but cannot do here."""


class ForkedError(Error):
    """The store was opened by a parent process. Open another one after fork."""


class ClosedError(Error):
    """The store is closed."""


class NoMemoryError(Error, MemoryError):
    """The operating system gave no address space or memory."""


class CorruptError(Error):
    """A structure in memory or on disk is not what this library wrote. The message names the file and the byte."""


for _error in (Error, *Error.__subclasses__()):
    _error.__module__ = "nyala"
