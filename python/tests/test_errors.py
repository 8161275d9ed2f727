"""Every error: its type, and a message that names value and limit."""

import builtins
import copy
import pickle
import re

import pytest

import nyala
from helpers import MIB
from operations import HARMLESS, OPERATIONS


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (nyala.InvalidArgumentError, ValueError),
        (nyala.FullError, Exception),
        (nyala.TooLargeError, ValueError),
        (nyala.NotANumberError, ValueError),
        (nyala.OverflowError, builtins.OverflowError),
        (nyala.BusyError, Exception),
        (nyala.LockedError, Exception),
        (nyala.IoError, OSError),
        (nyala.VersionError, Exception),
        (nyala.PoisonedError, Exception),
        (nyala.ReadOnlyError, Exception),
        (nyala.UnsupportedError, Exception),
        (nyala.ForkedError, Exception),
        (nyala.ClosedError, Exception),
        (nyala.NoMemoryError, MemoryError),
        (nyala.CorruptError, Exception),
    ],
)
def test_hierarchy(error, bases):
    assert issubclass(error, nyala.Error) and issubclass(error, bases)
    assert error.__module__ == "nyala" and error.__doc__
    assert str(error("text")) == "text" and error("text").failed == {}
    assert type(pickle.loads(pickle.dumps(error("text")))) is error


def test_failures_of_the_system_tell_their_number():
    error = nyala.IoError(28, "cannot allocate space: No space left on device", "store")
    assert (error.errno, error.filename) == (28, "store") and "No space left" in error.strerror and error.failed == {}


def test_every_operation_is_tested():
    public = {name for name in dir(nyala.Store) if not name.startswith("_")}
    # Where a store was pickled, copyreg has left a note of its own.
    protocol = {name for name in vars(nyala.Store) if name.startswith("__")} - {"__slotnames__"}
    assert public <= OPERATIONS.keys() | HARMLESS
    assert protocol - OPERATIONS.keys() - HARMLESS == {
        "__doc__", "__ge__", "__gt__", "__hash__", "__le__", "__lt__", "__module__", "__new__",
    }  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_closed(name):
    store = nyala.Store(max_bytes=MIB)
    store["k"] = b"v"
    store.close()
    store.close()
    with pytest.raises(nyala.ClosedError, match="store is closed"):
        OPERATIONS[name](store)


@pytest.mark.parametrize("max_bytes", [0, 1024, MIB - 1, 2**42 + 1, -1, 2**64, -(2**70), 10**5_000], ids=lambda number: f"{number:#x}"[:12])
def test_max_bytes(max_bytes):
    with pytest.raises(nyala.InvalidArgumentError) as raised:
        nyala.Store(max_bytes=max_bytes)
    shown = str(max_bytes) if max_bytes < 2**100 else "an integer of 16610 bits"
    assert str(raised.value) == f"max_bytes = {shown} lies outside 1048576 to 4398046511104 bytes" or str(
        raised.value
    ) == f"max_bytes = {shown} bytes lies outside 1048576 to 4398046511104 bytes"


def test_max_bytes_must_be_said():
    with pytest.raises(TypeError, match="max_bytes"):
        nyala.Store()
    for other, name in [("1", "str"), (1.5, "float"), (None, "NoneType")]:
        with pytest.raises(TypeError, match=f"max_bytes must be an int, not '{name}'"):
            nyala.Store(max_bytes=other)


def test_a_tebibyte_opens_or_says_why_not():
    try:
        store = nyala.Store(max_bytes=1 << 40)
    except nyala.NoMemoryError as error:
        assert "bytes" in str(error)
    else:
        store["k"] = b"v"
        assert store["k"] == b"v" and store.max_bytes == 1 << 40
        store.close()


def test_keys_out_of_range(store):
    for operation in (store.get, store.contains, store.delete, store.info, lambda key: store.set(key, b""),
                      lambda key: store.get_many([b"k", key]), store.pin, store.ttl):  # fmt: skip
        with pytest.raises(nyala.InvalidArgumentError, match="key of 0 bytes"):
            operation(b"")
        with pytest.raises(nyala.InvalidArgumentError, match="key of 0 bytes"):
            operation("")
        with pytest.raises(nyala.TooLargeError, match=r"key of 65536 bytes is too large: the limit is \d+ bytes") as raised:
            operation(b"k" * 65_536)
    # A small store takes shorter ones.
    limit = int(re.search(r"limit is (\d+)", str(raised.value))[1])
    assert 1_024 <= limit <= 65_535
    store[b"k" * limit] = b"longest"
    assert store[b"k" * limit] == b"longest"
    with pytest.raises(nyala.TooLargeError, match=f"key of {limit + 1} bytes is too large: the limit is {limit} bytes"):
        store[b"k" * (limit + 1)] = b""


def test_value_too_large(store):
    value = bytes(16 * MIB)
    for operation in (
        lambda: store.set("k", value),
        lambda: store.__setitem__("k", value),
        lambda: store.swap("k", value),
        lambda: store.setdefault("k", value),
        lambda: store.append("k", value),
        lambda: store.set_many({"k": value}),
        lambda: store.set_many({"k": value}, atomic=True),
    ):
        with pytest.raises(nyala.TooLargeError, match=r"value of 16777216 bytes is too large: the limit is \d+ bytes"):
            operation()
    assert "k" not in store


def test_full():
    with nyala.Store(max_bytes=MIB) as store:
        with pytest.raises(nyala.FullError, match=r"\d+ live bytes of max_bytes = 1048576 bytes"):
            for i in range(20_000):
                store[b"%d" % i] = bytes(100)
        stored = len(store)
        assert stored > 2_000
        # Nothing was changed, and what is there can be read and removed.
        assert f"{stored}" not in store and store["0"] == bytes(100)
        assert store.delete("0") is True
        with pytest.raises(nyala.FullError) as raised:
            store.set_many((b"more %d" % i, bytes(100)) for i in range(20_000))
        assert raised.value.failed and all(isinstance(error, nyala.FullError) for error in raised.value.failed.values())


def test_busy():
    with nyala.Store(max_bytes=MIB) as store:
        pins = []
        with pytest.raises(nyala.BusyError, match=r"\d+ segments are pinned, the limit is \d+"):
            for i in range(20_000):
                # Overwriting moves on through the log, while pins hold what it leaves behind.
                store["k"] = bytes([i % 256]) * 900
                pins.append(store.pin("k"))
        assert [bytes(pin) for pin in pins] == [bytes([i % 256]) * 900 for i in range(len(pins))]
        pins.clear()
        assert bytes(store.pin("k")) == store["k"]


def test_not_a_number(store):
    for text in (b"", b"x", b"1.5", b" 1", b"1 ", b"+1", b"01", b"-0", b"1" * 21, b"\xff", b"99999999999999999999"):
        store["n"] = text
        with pytest.raises(nyala.NotANumberError, match=f"value of {len(text)} bytes is not a number"):
            store.increment("n")
        assert store["n"] == text


def test_overflow(store):
    store["n"] = b"9223372036854775807"
    with pytest.raises(nyala.OverflowError, match="9223372036854775807 by 1 overflows: the limits are"):
        store.increment("n")
    assert store["n"] == b"9223372036854775807"
    for delta in (2**63, -(2**63) - 1, 10**30):
        with pytest.raises(nyala.OverflowError, match=f"delta = {delta} is out of range: the limits are -9223372036854775808"):
            store.increment("m", delta)
    with pytest.raises(nyala.OverflowError, match="delta = an integer of 16610 bits"):
        store.increment("m", 10**5_000)
    assert "m" not in store


TTLS = [
    (0, "0.0 s"),
    (0.0, "0.0 s"),
    (-0.0, "-0.0 s"),
    (-1, "-1.0 s"),
    (-0.5, "-0.5 s"),
    (float("nan"), "NaN s"),
    (float("inf"), "inf s"),
    (float("-inf"), "-inf s"),
    (1e300, "1e300 s"),
    (10**400, "an integer of 1329 bits"),
]


@pytest.mark.parametrize(("ttl", "shown"), TTLS, ids=[shown for _, shown in TTLS])
def test_ttl_out_of_range(store, ttl, shown):
    store["k"] = b"1"
    for operation in (
        lambda: store.set("k", b"2", ttl=ttl),
        lambda: store.expire("k", ttl),
        lambda: store.increment("n", 1, ttl_on_create=ttl),
        lambda: store.expire_at("k", ttl),
    ):
        with pytest.raises(nyala.InvalidArgumentError, match=rf"^(ttl|at|ttl_on_create) = {shown} .* \d+.* s\b"):
            operation()
    assert store["k"] == b"1" and store.ttl("k") == float("inf") and "n" not in store


@pytest.mark.parametrize("budget", [-1, float("nan"), float("inf"), 10**400])
def test_budget_out_of_range(store, budget):
    with pytest.raises(nyala.InvalidArgumentError, match="budget = "):
        store.maintain(budget)


def test_versions_out_of_range(store):
    store["k"] = b"1"
    for version in (-1, 2**64, 10**5_000):
        with pytest.raises(nyala.InvalidArgumentError, match="version = .* lies outside 0 to 18446744073709551615"):
            store.delete_if("k", version)
        with pytest.raises(nyala.InvalidArgumentError, match="if_version = "):
            store.set("k", b"2", if_version=version)
        with pytest.raises(nyala.InvalidArgumentError, match="position = "):
            store.scan(position=version)
    assert store["k"] == b"1"


def test_contradictions(store):
    with pytest.raises(nyala.InvalidArgumentError, match="exclude each other"):
        store.set("k", b"1", if_absent=True, if_version=2)
    with pytest.raises(nyala.InvalidArgumentError, match="ttl"):
        store.set("k", b"1", ttl=1, keep_ttl=True)
    with pytest.raises(nyala.InvalidArgumentError, match="only_if = \"never\": expected None, 'none', 'any'"):
        store.expire("k", 1, only_if="never")


def test_cannot_be_pickled_or_copied(store):
    for operation in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot pickle or copy"):
            operation(store)
    store["k"] = b"v"
    for other in (store.pin("k"), store.scan()):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(other)
    with pytest.raises(TypeError):
        nyala.Pin()
    with pytest.raises(TypeError):
        nyala.Scan()
