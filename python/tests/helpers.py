"""What several test files use."""

import re

import pytest

import nyala

MIB = 1 << 20


def longest_value(store):
    """Length in bytes of the longest value that a store takes, as its error message says."""
    with pytest.raises(nyala.TooLargeError) as raised:
        store.set("k", bytes(store.max_bytes))
    return int(re.search(r"the limit is (\d+) bytes", str(raised.value))[1])


class Clock:
    """Time that passes when a test says so."""

    def __init__(self, now=1_000.0):
        self.now = now

    def __call__(self):
        return self.now
