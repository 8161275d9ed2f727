"""What each operation does."""

import array
import io
import math
import time

import pytest

import nyala
from helpers import MIB, longest_value


def test_set_conditions(store):
    assert store.set("k", b"1") is True
    assert store.set("k", b"2", if_absent=True) is False
    assert store["k"] == b"1"
    version = store.info("k").version
    assert store.set("k", b"3", if_version=version) is True
    assert store.set("k", b"4", if_version=version) is False
    assert store["k"] == b"3"
    assert store.set("new", b"5", if_absent=True) is True
    assert store.set("gone", b"6", if_version=version) is False
    assert "gone" not in store
    assert store.set("k", b"7", None, False, None, False) is True


def test_set_lifetime(store, clock):
    store.set("k", b"1", ttl=10)
    assert store.ttl("k") == 10.0
    store.set("k", b"2", keep_ttl=True)
    assert store.ttl("k") == 10.0
    store.set("k", b"3")
    assert store.ttl("k") == math.inf
    store.set("k", b"4", ttl=0.5)
    clock.now += 0.4
    assert store.get("k") == b"4"
    clock.now += 0.1
    assert store.get("k") is None and "k" not in store and store.ttl("k") is None
    assert store.set("k", b"5", if_absent=True) is True


def test_lifetimes_are_rounded_up_to_milliseconds(store, clock):
    for ttl, expected in [(0.1, 0.1), (1e-12, 0.001), (0.0010001, 0.002), (5e-324, 0.001), (3, 3.0), (True, 1.0)]:
        store.set("k", b"", ttl=ttl)
        assert store.ttl("k") == pytest.approx(expected, abs=1e-9)


def test_versions(store):
    store["k"] = b"1"
    value, version = store.get_versioned("k")
    assert value == b"1" and type(version) is int and version > 0
    store.expire("k", 10)
    store.persist("k")
    assert store.get_versioned("k") == (b"1", version)
    store["k"] = b"1"
    assert store.info("k").version > version
    assert store.get_versioned("missing") is None


def test_swap_take_delete(store):
    assert store.swap("k", b"1") is None
    assert store.swap("k", b"2") == b"1"
    assert store.take("k") == b"2"
    assert store.take("k") is None
    store["k"] = b"3"
    assert store.delete("k") is True
    assert store.delete("k") is False
    store["k"] = b"4"
    version = store.info("k").version
    assert store.delete_if("k", version + 1) is False
    assert store.delete_if("k", version) is True
    assert store.delete_if("k", version) is False
    assert store.delete_if("k", 2**64 - 1) is False


def test_append(store):
    assert store.append("k", b"ab") == 2
    store.expire("k", 10)
    assert store.append("k", bytearray(b"cd")) == 4
    assert store["k"] == b"abcd" and store.ttl("k") == 10.0
    assert store.append("k", b"") == 4


def test_increment(store):
    assert store.increment("n") == 1
    assert store.increment("n", 5) == 6
    assert store.increment("n", delta=-10) == -4
    assert store["n"] == b"-4"
    store["n"] = b"9223372036854775806"
    assert store.increment("n") == 2**63 - 1
    assert store.increment("m", -(2**63)) == -(2**63)
    assert store.increment("t", 1, ttl_on_create=10) == 1
    assert store.ttl("t") == 10.0
    assert store.increment("t", 1, 20) == 2
    assert store.ttl("t") == 10.0


def test_contains_and_info(store):
    assert store.contains("k") is False
    assert store.info("k") is None
    store.set("k", b"12345", ttl=1.5)
    assert store.contains("k") is True
    info = store.info("k")
    assert isinstance(info, nyala.EntryInfo) and isinstance(info, tuple)
    assert (info.value_len, info.ttl) == (5, 1.5)
    store.persist("k")
    assert store.info("k") == (info.version, 5, math.inf)


def test_expire(store, clock):
    assert store.expire("k", 1) is False
    store["k"] = b"1"
    assert store.expire("k", 10, only_if="any") is False
    assert store.expire("k", 10, only_if="later") is False
    assert store.expire("k", 10, only_if="none") is True
    assert store.expire("k", 10, only_if="none") is False
    assert store.expire("k", 5, only_if="later") is False
    assert store.expire("k", 20, only_if="later") is True
    assert store.expire("k", 30, only_if="sooner") is False
    assert store.expire("k", 5, only_if="sooner") is True
    assert store.expire("k", 6, only_if="any") is True
    assert store.expire("k", 7, only_if=None) is True
    assert store.ttl("k") == 7.0
    assert store.persist("k") is True
    assert store.persist("k") is False
    assert store.persist("missing") is False
    assert store.ttl("k") == math.inf


def test_expire_at(store, clock):
    store["k"] = b"1"
    assert store.expire_at("k", clock.now + 2.5) is True
    assert store.ttl("k") == 2.5
    assert store.expire_at("missing", clock.now + 1) is False
    clock.now += 2.5
    assert "k" not in store
    store["k"] = b"2"
    assert store.expire_at("k", clock.now - 1) is True
    assert "k" not in store


def test_expire_at_takes_the_nearest_millisecond(clock):
    # Where a float is more coarse than a microsecond, no time may become a millisecond longer by its last bit.
    clock.now = 1_700_000_000.0
    with nyala.Store(max_bytes=MIB, clock=clock) as store:
        store["k"] = b"1"
        for millis in range(1, 100):
            store.expire_at("k", 1_700_000_000 + millis / 1000)
            assert store.ttl("k") == pytest.approx(millis / 1000, abs=1e-9)


def test_time_of_the_system():
    with nyala.Store(max_bytes=MIB) as store:
        store["k"] = b"1"
        store.expire_at("k", time.time() + 100)
        assert 95 < store.ttl("k") <= 101
        store.set("soon", b"1", ttl=0.02)
        time.sleep(0.05)
        assert "soon" not in store


def test_time_does_not_go_back(store, clock):
    store.set("k", b"1", ttl=10)
    clock.now += 5
    assert store.ttl("k") == 5.0
    clock.now -= 100
    assert store.ttl("k") == 5.0


def test_many(store):
    pairs = {b"%d" % i: b"value %d" % i for i in range(5_000)}
    assert store.set_many(pairs) == 5_000
    keys = [*pairs, b"missing", "17", bytearray(b"18"), memoryview(b"19"), b"0"]
    values = [*pairs.values(), None, b"value 17", b"value 18", b"value 19", b"value 0"]
    assert store.get_many(keys) == values
    assert store.get_many(tuple(keys[:40])) == values[:40]
    assert store.get_many(key for key in keys[-40:]) == values[-40:]
    assert store.get_many(keys[:1024]) == values[:1024]
    assert store.get_many(keys[:1025]) == values[:1025]
    assert store.get_many([]) == []
    assert store.get_many({b"1": 0}) == [b"value 1"]
    assert store.delete_many(["0", "0", "missing"]) == [True, False, False]
    assert store.delete_many(pairs) == [False] + [True] * 4_999
    assert store.delete_many([]) == []
    assert len(store) == 0


def test_set_many_in_order(store):
    assert store.set_many([("k", b"1"), ("k", b"2"), ("l", b"3"), ("k", b"4")]) == 4
    assert store["k"] == b"4"
    assert store.set_many([]) == 0 and store.set_many({}) == 0
    assert store.set_many(("%d" % (i % 10), b"%d" % i) for i in range(3_000)) == 3_000
    assert store["7"] == b"2997"


def test_set_many_tries_all(store):
    items = [(b"%d" % i, b"x") for i in range(3_000)]
    items[10] = (b"", b"x")
    items[2_500] = (b"k" * 65_536, b"x")
    with pytest.raises(nyala.InvalidArgumentError) as raised:
        store.set_many(items)
    failed = raised.value.failed
    assert list(failed) == [10, 2_500]
    assert isinstance(failed[10], nyala.InvalidArgumentError) and isinstance(failed[2_500], nyala.TooLargeError)
    assert raised.value.__notes__ == ["set_many: item 10 failed first; 2998 of 3000 items were stored"]
    assert len(store) == 2_998
    with pytest.raises(nyala.InvalidArgumentError):
        store.update({b"": b""})


def test_set_many_atomic(store):
    assert store.set_many([("k", b"1"), ("k", b"2"), ("l", b"3"), ("k", b"4")], atomic=True) == 4
    assert store["k"] == b"4" and store["l"] == b"3"
    assert store.set_many([], atomic=True) == 0 and store.set_many({"l": b"5"}, atomic=True) == 1
    for items, error in (
        ([("k", b"6"), ("", b"7")], nyala.InvalidArgumentError),
        ([("k", b"6"), ("m", 7)], TypeError),
        ([("k", b"6"), (None, b"")], TypeError),
        (((b"%d" % i, bytes(100)) for i in range(10_000)), nyala.TooLargeError),
    ):
        with pytest.raises(error):
            store.set_many(items, atomic=True)
        assert dict(store) == {b"k": b"4", b"l": b"5"}
    limit = store.stats().segment_bytes - 192
    with pytest.raises(nyala.TooLargeError, match=rf"frame of \d+ bytes is too large: the limit is {limit} bytes"):
        store.set_many(((b"%d" % i, bytes(100)) for i in range(10_000)), atomic=True)
    with pytest.raises(TypeError):
        store.set_many([], True)


def test_set_many_atomic_in_a_file(tmp_path):
    path = tmp_path / "store.nyala"
    with nyala.Store(path) as store:
        store.set("old", b"0", ttl=1000)
        for number in range(100):
            items = [(b"%d" % key, b"%d" % number) for key in range(50)] + [("old", b"1"), ("old", b"2")]
            assert store.set_many(items, atomic=True) == 52
        with pytest.raises(nyala.InvalidArgumentError):
            store.set_many([("old", b"3"), ("", b"4")], atomic=True)
    with nyala.Store(path) as store:
        assert dict(store) == {b"%d" % key: b"99" for key in range(50)} | {b"old": b"2"}
        assert store.ttl("old") == math.inf


def test_set_many_atomic_of_the_longest_values(tmp_path):
    with nyala.Store(tmp_path / "store.nyala", max_bytes=64 << 20) as store:
        limit = store.stats().segment_bytes // 2
        text = f"value of {limit + 1} bytes is too large: the limit is {limit} bytes"
        with pytest.raises(nyala.TooLargeError, match=text):
            store.set_many([("beside", b"1"), ("longest", bytes(limit + 1))], atomic=True)
        assert "beside" not in store
        # One by one it may be longer, and what is there may be.
        store["longest"] = bytes(limit + 1)
        assert store.set_many([("beside", b"1"), ("longest", bytes(limit))], atomic=True) == 2
    with nyala.Store(tmp_path / "store.nyala", max_bytes=64 << 20) as store:
        assert dict(store) == {b"beside": b"1", b"longest": bytes(limit)}


def test_scan(store):
    reference = {b"%s%d" % (prefix, i): b"%d" % i for prefix in (b"a", b"b") for i in range(1_000)}
    store.update(reference)
    for prefix in (b"", b"a", "b", bytearray(b"a1"), b"none"):
        expected = {key: value for key, value in reference.items() if key.startswith(bytes(prefix, "utf-8") if isinstance(prefix, str) else prefix)}
        found = list(store.scan(prefix))
        assert len(found) == len(expected) and dict(found) == expected
    assert dict(store.scan()) == reference
    scan = store.scan(prefix="a", position=0)
    assert iter(scan) is scan
    assert len(list(scan)) == 1_000
    assert next(scan, None) is None and scan.position is None


@pytest.mark.parametrize("taken", [1, 7, 100, 399, 1_024])
def test_scan_resumes(store, taken):
    reference = {b"%d" % i: b"%d" % i for i in range(3_000)}
    store.update(reference)
    seen = {}
    position = 0
    steps = 0
    while position is not None:
        scan = store.scan(position=position)
        for _ in range(taken):
            key, value = next(scan, (None, None))
            if key is not None:
                seen[key] = value
        # Going on until the position moves: what comes again is at most what it did not move for.
        before = position
        while scan.position == before:
            key, value = next(scan)
            seen[key] = value
        position = scan.position
        steps += 1
        assert steps <= 3_000
    assert seen == reference


def test_scan_leaves_out_what_has_expired(store, clock):
    store.set("goes", b"1", ttl=1)
    store["stays"] = b"2"
    clock.now += 2
    assert list(store.scan()) == [(b"stays", b"2")]
    assert list(store) == [b"stays"]


def test_pin(store):
    store["k"] = b"abc"
    pin = store.pin("k")
    version = pin.version
    view = memoryview(pin)
    assert version == store.info("k").version
    assert bytes(pin) == view.tobytes() == b"abc" and len(pin) == 3 and view.readonly and view.format == "B"
    store["k"] = b"xyz"
    store.clear()
    assert bytes(pin) == b"abc" == view and pin.version == version
    with pytest.raises(TypeError):
        view[0] = 1
    assert store.pin("missing") is None
    store["empty"] = b""
    assert bytes(store.pin("empty")) == b"" and len(store.pin("empty")) == 0
    assert repr(pin) == f"<nyala.Pin of 3 bytes, version {version}>"
    store["again"] = pin
    assert store["again"] == b"abc"
    # Asking for a buffer to be written to is refused.
    with pytest.raises((BufferError, TypeError)):
        io.BytesIO(b"new").readinto(pin)


def test_large_values():
    with nyala.Store(max_bytes=8 * MIB) as store:
        limit = longest_value(store)
        # Both sides of where copying is done detached, and the longest.
        for size in (65_535, 65_536, 65_537, 300_000, limit - 1):
            value = (bytes(range(251)) * (size // 251 + 1))[:size]
            assert store.set("k", value) is True
            assert store["k"] == store.get("k") == store.get_many(["k"])[0] == value
            assert store.get_many(["k", "none"] * 50)[98] == store.get_many(["none"] * 1_100 + ["k"])[1_100] == value
            assert store.get_versioned("k")[0] == value
            assert bytes(store.pin("k")) == value
            assert store.setdefault("k", b"") == value and store.setdefault("l", value) == value
            assert store.swap("k", value) == value
            assert store.append("k", b"!") == size + 1
            assert store.take("k") == value + b"!"
            assert store.set_many({"m": value}) == 1 and store["m"] == value
            assert dict(store.scan()) == {b"l": value, b"m": value}
            store.clear()


def test_values_of_16_mib():
    # Twenty times the same bytes would not show a mix-up.
    values = [b"%07d\n" % i * (2 * MIB) for i in range(20)]
    keys = [b"%d" % i for i in range(20)]
    with nyala.Store(max_bytes=512 * MIB) as store:
        assert store.set_many(zip(keys, values)) == 20
        assert store.get_many(keys) == values
        assert sum(store[key] == value for key, value in zip(keys, values)) == 20
        pin = store.pin("7")
        view = memoryview(pin)
        store.clear()
        assert view.nbytes == 16 * MIB and view == values[7]
        stats = store.stats()
        assert stats.entries == 0 and stats.runs == 0 and stats.run_bytes >= 16 * MIB
        view.release()
        del pin
        assert store.stats().segments_pinned == 0
        for key, value in zip(keys[:4], values):
            store.set(key, value)
        found = list(store.scan())
        assert sorted(key for key, _ in found) == keys[:4] and all(value == values[int(key)] for key, value in found)
        assert store.append("0", b"!") == 16 * MIB + 1
        assert store.swap("0", values[1]) == values[0] + b"!"
        assert store.take("0") == values[1] and store.pop("1") == values[1]
        key, value = store.popitem()
        assert value == values[int(key)] and len(store) == 1


def test_keys_and_values_of_all_kinds(store):
    store[bytearray(b"k")] = memoryview(b"abcdef")[::2]
    assert store[memoryview(b"k")] == b"ace"
    store[array.array("H", [1, 2])] = array.array("I", [3])
    assert store[array.array("H", [1, 2]).tobytes()] == array.array("I", [3]).tobytes()
    store["schlüssel ☃ 🦌"] = b"1"
    assert store["schlüssel ☃ 🦌".encode()] == b"1"
    store[b"\0\0"] = b"\0"
    assert store[b"\0\0"] == b"\0" and b"\0" not in store
    assert type(store["k"]) is bytes


def test_a_copy_is_stored(store):
    value = bytearray(b"abc")
    store["k"] = value
    value[0] = 0
    assert store["k"] == b"abc"


def test_stats(store):
    store["k"] = b"v" * 1_000
    stats = store.stats()
    assert isinstance(stats, nyala.Stats) and all(type(number) is int for number in stats)
    assert stats.entries == 1 and stats.max_bytes == store.max_bytes == 16 * MIB
    assert 0 <= stats.used_bytes <= stats.max_bytes and 0 <= store.used_bytes <= store.max_bytes


def test_maintain(store):
    store.update({b"%d" % i: b"x" * 100 for i in range(1_000)})
    store.clear()
    for left in (store.maintain(), store.maintain(0), store.maintain(0.2), store.maintain(budget=1)):
        assert type(left) is int and left >= 0


def test_repr_shows_no_value(store):
    store["secret key"] = b"secret value"
    assert repr(store).startswith("<nyala.Store of 1 entries, ") and "secret" not in repr(store)
    assert repr(store).endswith(f" of {16 * MIB} bytes used>")


def test_context_manager():
    with nyala.Store(max_bytes=MIB) as store:
        assert not store.closed
    assert store.closed and repr(store) == "<nyala.Store, closed>"
    with pytest.raises(ZeroDivisionError):
        with nyala.Store(max_bytes=MIB) as store:
            1 / 0
    assert store.closed


def test_subclass():
    class Words(nyala.Store):
        def word(self, key):
            return self[key].decode()

    with Words(max_bytes=MIB) as store:
        store["k"] = b"v"
        store.note = 1
        assert store.word("k") == "v" and isinstance(store, nyala.Store)


def test_lifetimes_are_the_nearest_float(store, clock):
    for ms in (*range(1, 3_000), 9_976, 36_001, 86_399_999):
        store.set("k", b"", ttl=ms / 1_000)
        assert store.ttl("k") == store.info("k").ttl == ms / 1_000
