"""Nyala: an embeddable key-value store and cache for bytes, in memory or in a file, under a hard cap.

>>> import nyala
>>> store = nyala.Store(max_bytes=64 << 20)
>>> store["greeting"] = b"hello"
>>> store.get("greeting"), store.get("farewell")
(b'hello', None)
>>> store.increment("visits"), store.set("token", b"xyz", ttl=60.0)
(1, True)
>>> sorted(store)
[b'greeting', b'token', b'visits']
>>> store.close()
"""

from collections.abc import MutableMapping as _MutableMapping

from ._errors import (
    BusyError,
    ClosedError,
    CorruptError,
    Error,
    ForkedError,
    FullError,
    InvalidArgumentError,
    IoError,
    LockedError,
    NoMemoryError,
    NotANumberError,
    OverflowError,  # noqa: A004 (also the built-in one)
    PoisonedError,
    ReadOnlyError,
    TooLargeError,
    UnsupportedError,
    VersionError,
)
from ._native import (
    DEFAULT_FILE_BYTES,
    MAX_MAX_BYTES,
    MIN_FILE_BYTES,
    MIN_MAX_BYTES,
    Pin,
    Scan,
    Store,
    __version__,
    salvage,
    verify,
)
from ._types import EntryInfo, FileReport, Stats

_MutableMapping.register(Store)

__all__ = [
    "DEFAULT_FILE_BYTES",
    "MAX_MAX_BYTES",
    "MIN_FILE_BYTES",
    "MIN_MAX_BYTES",
    "BusyError",
    "ClosedError",
    "CorruptError",
    "EntryInfo",
    "Error",
    "FileReport",
    "ForkedError",
    "FullError",
    "InvalidArgumentError",
    "IoError",
    "LockedError",
    "NoMemoryError",
    "NotANumberError",
    "OverflowError",
    "Pin",
    "PoisonedError",
    "ReadOnlyError",
    "Scan",
    "Stats",
    "Store",
    "TooLargeError",
    "UnsupportedError",
    "VersionError",
    "__version__",
    "salvage",
    "verify",
]
