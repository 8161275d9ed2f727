"""Caches, and caps that change."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nyala
from helpers import MIB, longest_value


def test_a_cache_is_never_full():
    with nyala.Store(max_bytes=MIB, eviction="adaptive") as cache:
        for i in range(20_000):
            cache[b"%d" % i] = b"%d" % i * 20
        stats = cache.stats()
        assert stats.evicted > 10_000 and stats.bytes_evicted > stats.evicted * 20
        assert stats.entries == len(cache) == 20_000 - stats.evicted
        assert cache.used_bytes <= MIB
        assert all(value == key * 20 for key, value in cache.items())
        assert cache.set_many((b"%d" % i, bytes(100)) for i in range(20_000)) == 20_000
        assert cache.setdefault("new", b"v") == b"v" and cache.increment("n") == 1 and cache.append("a", b"b") == 1


def test_what_is_read_stays():
    with nyala.Store(max_bytes=MIB, eviction="adaptive") as cache:
        read = [b"read %d" % i for i in range(50)]
        cache.set_many((key, bytes(100)) for key in read)
        for i in range(40_000):
            cache[b"%d" % i] = bytes(100)
            if i % 100 == 0:
                cache.get_many(read)
        assert sum(key in cache for key in read) > 40


def test_a_store_evicts_nothing():
    for options in ({}, {"eviction": None}):
        with nyala.Store(max_bytes=MIB, **options) as store:
            with pytest.raises(nyala.FullError):
                for i in range(20_000):
                    store[b"%d" % i] = bytes(100)
            stored = len(store)
            assert stored > 2_000 and all(b"%d" % i in store for i in range(stored))
            assert store.stats().evicted == store.stats().bytes_evicted == 0


def test_other_evictions():
    for wrong, shown in [("none", '"none"'), ("", '""'), ("ADAPTIVE", '"ADAPTIVE"'), ("lru\ud800", '"lru')]:
        with pytest.raises(nyala.InvalidArgumentError, match=f"eviction = {shown}.*: expected None or 'adaptive'"):
            nyala.Store(max_bytes=MIB, eviction=wrong)
    for wrong in (1, b"adaptive", True, ["adaptive"]):
        with pytest.raises(TypeError, match=f"eviction must be None or 'adaptive', not '{type(wrong).__name__}'"):
            nyala.Store(max_bytes=MIB, eviction=wrong)


def test_a_cache_changes_its_size():
    with nyala.Store(max_bytes=8 * MIB, eviction="adaptive") as cache:
        lengths = []
        for megabytes in (8, 2, 32):
            assert cache.set_max_bytes(megabytes * MIB) is None
            assert cache.max_bytes == cache.stats().max_bytes == megabytes * MIB
            assert cache.used_bytes <= megabytes * MIB
            cache.set_many((b"%d" % i, bytes(1_000)) for i in range(50_000))
            lengths.append(len(cache))
        assert lengths[0] > 3 * lengths[1] and lengths[2] > 3 * lengths[0]


def test_a_store_changes_its_size():
    with nyala.Store(max_bytes=8 * MIB) as store:
        reference = {b"%d" % i: b"%d" % i * 200 for i in range(5_000)}
        store.update(reference)
        with pytest.raises(nyala.FullError, match="max_bytes = "):
            store.set_max_bytes(2 * MIB)
        assert store.max_bytes == 8 * MIB and store == reference
        longest = longest_value(store)
        store.set_max_bytes(32 * MIB)
        assert longest_value(store) == longest and store == reference
        store.clear()
        store.set_max_bytes(2 * MIB)
        store["k"] = b"v"
        assert store == {b"k": b"v"}


@pytest.mark.parametrize("max_bytes", [0, -1, MIB, 2 * MIB - 1, 32 * MIB + 1, 2**64, 10**5_000], ids=lambda number: f"{number:#x}"[:12])
def test_sizes_out_of_range(max_bytes):
    with nyala.Store(max_bytes=8 * MIB) as store:
        with pytest.raises(nyala.InvalidArgumentError, match=r"max_bytes = .* lies outside \d+ to \d+ bytes"):
            store.set_max_bytes(max_bytes)
        for wrong in ("1", 1.5, None):
            with pytest.raises(TypeError, match=f"max_bytes must be an int, not '{type(wrong).__name__}'"):
                store.set_max_bytes(wrong)
        with pytest.raises(AttributeError):
            store.max_bytes = MIB
        assert store.max_bytes == 8 * MIB


SIZES = st.integers(MIB, 4 * MIB)
ITEMS = st.tuples(st.integers(0, 5_000), st.integers(0, 20_000))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(SIZES, ITEMS, st.lists(ITEMS, max_size=100)), max_size=60), st.integers(0, 255))
def test_a_cache_forgets_but_does_not_lie(steps, fill):
    """Whatever a cache still has is what was set last, within the cap of the moment."""
    with nyala.Store(max_bytes=MIB, eviction="adaptive") as cache:
        last = {}
        for step in steps:
            if isinstance(step, int):
                cache.set_max_bytes(step)
                assert cache.max_bytes == step
            else:
                for number, length in step if isinstance(step, list) else [step]:
                    key = b"%d" % number
                    cache[key] = last[key] = bytes([fill, number % 251]) * (length // 2)
            assert cache.used_bytes <= cache.max_bytes
        assert all(last[key] == value for key, value in cache.items())
        stats = cache.stats()
        assert stats.entries == len(cache) and stats.entries <= len(last)
        assert stats.evicted or stats.entries == len(last)
