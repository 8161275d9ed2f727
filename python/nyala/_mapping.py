"""The parts of the mapping protocol that need no speed."""

from __future__ import annotations

from collections import abc
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._native import Store


class KeysView(abc.KeysView[bytes]):
    """The keys of a store, as they are when one looks."""

    _mapping: Store


class ValuesView(abc.ValuesView[bytes]):
    """The values of a store, as they are when one looks."""

    # The inherited ones look every key up again, which fails for a key that went meanwhile.
    _mapping: Store

    def __iter__(self) -> Iterator[bytes]:
        return (value for _, value in self._mapping.scan())

    def __contains__(self, value: object) -> bool:
        return any(value == present for present in self)


class ItemsView(abc.ItemsView[bytes, bytes]):
    """The keys and values of a store, as they are when one looks."""

    _mapping: Store

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self._mapping.scan()


def equal(store: Store, other: object) -> bool:
    """Whether two mappings have equal items, as far as they hold still."""
    if other is store:
        return True
    if not isinstance(other, abc.Mapping):
        return NotImplemented  # type: ignore[no-any-return]
    missing = object()
    count = 0
    for key, value in store.scan():
        if other.get(key, missing) != value:
            return False
        count += 1
    # The length of a store may count entries that have expired.
    return count == sum(1 for _ in other)
