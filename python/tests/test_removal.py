"""What a listener is told of entries that are gone, and what is counted of reads."""

import collections
import gc
import sys
import threading
import weakref

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import nyala
from helpers import MIB, Clock


@pytest.fixture
def unraisable(monkeypatch):
    """What was raised where nobody could catch it."""
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reported.append((report.exc_type, report.object)))
    return reported


def test_causes():
    told = []
    clock = Clock()
    with nyala.Store(max_bytes=MIB, on_removal=lambda *removal: told.append(removal), clock=clock) as store:

        def newly_told():
            now = sorted(told)
            told.clear()
            return now

        for operation in (
            lambda: store.delete("k"),
            lambda: store.delete_many(["k"]),
            lambda: store.take("k"),
            lambda: store.pop("k"),
            lambda: store.popitem(),
            lambda: store.__delitem__("k"),
            lambda: store.delete_if("k", store.info("k").version),
            lambda: store.expire_at("k", clock.now - 1),
        ):
            store["k"] = b"overwritten"
            store["k"] = b"value"
            assert told == []
            operation()
            assert newly_told() == [(b"k", b"value", "removed")]
            operation_on_nothing = store.delete("k"), store.take("k")
            assert operation_on_nothing == (False, None) and told == []

        store["k"] = b"value"
        store.clear()
        store.swap("k", b"1")
        store.swap("k", b"2")
        assert told == []
        store.set("soon", b"value", ttl=1)
        store.set("later", b"value", ttl=100)
        clock.now += 2
        store.delete("soon")
        store.maintain(1)
        assert newly_told() == [(b"soon", b"value", "expired")]
    assert told == []


def test_nothing_is_lost():
    behind = {}

    def keep(key, value, cause):
        assert cause == "evicted" and key not in behind
        behind[key] = value

    with nyala.Store(max_bytes=MIB, eviction="adaptive", on_removal=keep) as cache:
        reference = {b"%d" % i: b"%d" % i * 20 for i in range(20_000)}
        for key in list(reference)[:10_000]:
            cache[key] = reference[key]
        cache.set_many(list(reference.items())[10_000:])
        assert cache.stats().evicted == len(behind) > 10_000
        assert cache.items() | behind.items() == reference.items() and not cache.keys() & behind.keys()


def test_large_values_are_told():
    told = []
    with nyala.Store(max_bytes=16 * MIB, eviction="adaptive", on_removal=lambda *removal: told.append(removal)) as cache:
        for i in range(40):
            cache[b"%d" % i] = bytes([i]) * MIB
        assert len(told) == cache.stats().evicted == 40 - len(cache)
        assert all(value == bytes([int(key)]) * MIB and cause == "evicted" for key, value, cause in told)
        told.clear()
        cache.set_max_bytes(4 * MIB)
        assert told and cache.used_bytes <= 4 * MIB


def test_a_listener_that_raises(unraisable):
    seen = []

    def listener(key, value, cause):
        seen.append(key)
        raise ZeroDivisionError

    with nyala.Store(max_bytes=MIB, on_removal=listener) as store:
        store.update({b"%d" % i: b"v" for i in range(10)})
        assert store.delete("0") is True and store.take("1") == b"v"
        assert store.delete_many([b"%d" % i for i in range(10)]) == [False] * 2 + [True] * 8
        assert len(seen) == 10 and len(store) == 0
        assert unraisable == [(ZeroDivisionError, listener)] * 10
    with nyala.Store(max_bytes=MIB, on_removal=lambda key: None) as store:
        store["k"] = b"v"
        assert store.pop("k") == b"v" and unraisable[-1][0] is TypeError


def test_a_listener_may_use_its_store(eager_gc):
    depth = []

    def listener(key, value, cause):
        assert key not in store
        store[b"seen"] = key
        len(store), store.stats(), list(store.scan()), store.get_many([b"seen"])
        if len(depth) < 5:
            depth.append(key)
            store.delete(b"seen")

    store = nyala.Store(max_bytes=MIB, on_removal=listener)
    store["k"] = b"v"
    assert store.delete("k") is True
    assert depth == [b"k"] + [b"seen"] * 4 and store[b"seen"] == b"seen"


def test_a_listener_that_closes_its_store():
    store = nyala.Store(max_bytes=MIB, on_removal=lambda *_: store.close())
    store["k"] = b"v"
    assert store.take("k") == b"v" and store.closed


def test_listeners_must_be_callable():
    for wrong in (5, "text", b"", [], True):
        with pytest.raises(TypeError, match=f"on_removal must be callable, not '{type(wrong).__name__}'"):
            nyala.Store(max_bytes=MIB, on_removal=wrong)
    with pytest.raises(TypeError):
        nyala.Store(max_bytes=MIB, count_reads="yes")
    with nyala.Store(max_bytes=MIB, on_removal=None, count_reads=None) as store:
        store["k"] = b"v"
        assert store.delete("k")


@pytest.mark.parametrize("pinned", [False, True])
def test_cycles_through_a_listener_are_collected(pinned):
    class Owner:
        def __init__(self):
            self.store = nyala.Store(max_bytes=MIB, on_removal=self.gone)
            self.store["k"] = b"v"
            # A pin keeps the store's memory, but not the listener.
            self.pin = self.store.pin("k") if pinned else None

        def gone(self, key, value, cause):
            pass

    owner = Owner()
    dead = weakref.ref(owner), weakref.ref(owner.store)
    del owner
    gc.collect()
    assert [ref() for ref in dead] == [None, None]


def test_a_listener_is_kept_and_let_go():
    def listener(key, value, cause):
        pass

    before = sys.getrefcount(listener)
    store = nyala.Store(max_bytes=MIB, on_removal=listener)
    assert sys.getrefcount(listener) == before + 1
    store.update({b"%d" % i: b"v" for i in range(100)})
    store.delete_many([b"%d" % i for i in range(100)])
    assert sys.getrefcount(listener) == before + 1
    del store
    assert sys.getrefcount(listener) == before


def test_threads(eager_switching):
    """Each removal is told once, whichever thread tells it."""
    told = collections.Counter()
    lock = threading.Lock()

    def listener(key, value, cause):
        assert value.startswith(key + b" ")
        with lock:
            told[key, cause] += 1

    with nyala.Store(max_bytes=MIB, eviction="adaptive", on_removal=listener) as cache:

        def work(name):
            for i in range(4_000):
                key = b"%d/%d" % (name, i)
                cache[key] = key + b" " * 150
                if i % 10 == 0:
                    cache.set_many((b"%s/%d" % (key, j), b"%s/%d %s" % (key, j, bytes(50))) for j in range(20))
                if i % 7 == 0 and cache.delete(key):
                    deleted.append(key)

        deleted = []
        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(told.values()) == {1}
        assert sorted(key for key, cause in told if cause == "removed") == sorted(deleted)
        evicted = [key for key, cause in told if cause == "evicted"]
        assert len(evicted) == cache.stats().evicted > 1_000
        assert len(cache) + len(told) == 4 * 4_000 + 4 * 400 * 20


def test_reads_are_counted():
    for options, counted in [({}, False), ({"eviction": "adaptive"}, True), ({"count_reads": True}, True), ({"eviction": "adaptive", "count_reads": False}, False)]:
        with nyala.Store(max_bytes=MIB, **options) as store:
            store.update({b"%d" % i: b"v" for i in range(100)})
            for i in range(6_400):
                store.get(b"%d" % (i % 100))
                store.get(b"hot %d" % i)
                store.get_many([b"7", b"missing"])
            stats = store.stats()
            assert (stats.hits, stats.misses) == ((12_800, 12_800) if counted else (0, 0))
            hottest = store.hottest(3)
            assert store.hottest(0) == []
            if counted:
                assert hottest[0][0] == b"7" and 3_000 < hottest[0][1] < 15_000 and len(hottest) <= 3
                assert len(store.hottest(2**64 - 1)) <= 100
            else:
                assert hottest == []
            with pytest.raises(nyala.InvalidArgumentError, match="most = -1 lies outside 0 to 18446744073709551615"):
                store.hottest(-1)
            with pytest.raises(TypeError, match="most must be an int, not 'float'"):
                store.hottest(1.5)


# What each counts of a key that is there: hits.
READS = {
    "__contains__": lambda store, key: key in store,
    "contains": lambda store, key: store.contains(key),
    "get": lambda store, key: store.get(key),
    "get_many": lambda store, key: store.get_many([key]),
    "get_versioned": lambda store, key: store.get_versioned(key),
    "info": lambda store, key: store.info(key),
    "pin": lambda store, key: store.pin(key),
    "pop": lambda store, key: store.pop(key, None),
    "setdefault": lambda store, key: store.setdefault(key, b"v"),
    "swap": lambda store, key: store.swap(key, b"w"),
    "take": lambda store, key: store.take(key),
    "ttl": lambda store, key: store.ttl(key),
}
CHANGES = {
    "append": lambda store, key: store.append(key, b"v"),
    "delete": lambda store, key: store.delete(key),
    "delete_if": lambda store, key: store.delete_if(key, 1),
    "expire": lambda store, key: store.expire(key, 1.0),
    "persist": lambda store, key: store.persist(key),
    "scan": lambda store, key: list(store.scan()),
    "set": lambda store, key: store.set(key, b"v"),
}


@pytest.mark.parametrize("size", [1, 64 << 10, 256 << 10])
@pytest.mark.parametrize("name", [*READS, *CHANGES])
def test_an_operation_is_one_read_at_most(name, size):
    operation, counts = (READS[name], 1) if name in READS else (CHANGES[name], 0)
    for key in ("there", "missing"):
        with nyala.Store(max_bytes=64 * MIB, count_reads=True) as store:
            store["there"] = bytes(size)
            operation(store, key)
            stats = store.stats()
            assert (stats.hits, stats.misses) == ((counts, 0) if key == "there" else (0, counts))


def test_a_large_value_counts_once_without_a_pin():
    """As many are pinned as may be: the value is copied on the way."""
    with nyala.Store(max_bytes=64 * MIB, count_reads=True) as store:
        store.update({b"%d" % i: bytes(256 << 10) for i in range(100)})
        pins = []
        with pytest.raises(nyala.BusyError):
            while len(pins) < 100:
                pins.append(store.pin(b"%d" % len(pins)))
        before = store.stats().hits
        assert store["99"] == bytes(256 << 10) and store.stats().hits == before + 1


def test_the_longest_values_are_named():
    with nyala.Store(max_bytes=MIB) as store:
        assert store.largest(5) == []
        store.update({b"%d" % i: bytes(i) for i in range(1_000)})
        store["huge"] = bytes(200_000)
        assert store.largest(3) == [(b"huge", 200_000), (b"999", 999), (b"998", 998)]
        assert store.largest(0) == []
        with pytest.raises(nyala.InvalidArgumentError, match="most = -1 lies outside 0 to 18446744073709551615"):
            store.largest(-1)


KEYS = st.integers(0, 3_000).map(lambda number: b"%d" % number)


class Mirror(RuleBasedStateMachine):
    """A dict that is told of removals has what the cache has."""

    def __init__(self):
        super().__init__()
        self.now = 1_000.0
        self.entries = {}
        self.setting = None
        self.count = 0
        self.cache = nyala.Store(max_bytes=MIB, eviction="adaptive", on_removal=self.gone, clock=lambda: self.now)
        self.failures = []

    def gone(self, key, value, cause):
        # An assertion here would be swallowed. A cache may evict an entry before the call that set it returns.
        if (key, value) == self.setting:
            self.entries.pop(key, None)
            self.setting = None
        elif self.entries.pop(key, (None,))[0] != value or cause not in ("evicted", "expired", "removed"):
            self.failures.append((key, cause))

    def teardown(self):
        self.cache.close()

    @rule(key=KEYS, length=st.integers(0, 200_000), ttl=st.sampled_from([None, 1.0, 20.0]))
    def set(self, key, length, ttl):
        self.count += 1
        value = b"%d" % self.count + bytes(length)
        self.setting = key, value
        self.cache.set(key, value, ttl=ttl)
        if self.setting:
            self.entries[key] = value, ttl and self.now + ttl

    @rule(first=st.integers(0, 2_000), count=st.integers(0, 1_000), length=st.integers(0, 1_000))
    def set_many(self, first, count, length):
        for number in range(first, first + count):
            self.set(b"%d" % number, length, None)

    @rule(key=KEYS)
    def delete(self, key):
        self.cache.delete(key)
        assert key not in self.entries

    @rule(max_bytes=st.integers(MIB, 4 * MIB))
    def resize(self, max_bytes):
        self.cache.set_max_bytes(max_bytes)

    @rule(seconds=st.floats(0, 10))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def clear(self):
        self.cache.clear()
        self.entries.clear()

    @invariant()
    def agrees(self):
        assert self.failures == []
        present = {key: value for key, (value, ends) in self.entries.items() if ends is None or ends > self.now + 0.001}
        found = dict(self.cache.scan())
        assert present.items() <= found.items()
        assert found.items() <= {key: value for key, (value, _) in self.entries.items()}.items()


TestMirror = Mirror.TestCase
TestMirror.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
