"""Who keeps what alive."""

import gc
import sys
import weakref

import pytest

import nyala
from helpers import MIB


def test_pins_outlive_everything():
    store = nyala.Store(max_bytes=MIB)
    store["k"] = b"value" * 100
    pin = store.pin("k")
    view = memoryview(pin)[5:10]
    store.close()
    assert bytes(pin) == b"value" * 100
    del store, pin
    gc.collect()
    assert view.tobytes() == b"value"
    part = view[1:3]
    view.release()
    assert part.tobytes() == b"al"


def test_a_view_keeps_its_pin():
    with nyala.Store(max_bytes=MIB) as store:
        store["k"] = b"value"
        pin = store.pin("k")
        before = sys.getrefcount(pin)
        view = memoryview(pin)
        assert sys.getrefcount(pin) == before + 1
        view.release()
        assert sys.getrefcount(pin) == before


def test_scans_outlive_close():
    store = nyala.Store(max_bytes=MIB)
    store.update({b"%d" % i: b"x" for i in range(100)})
    scan, keys, fresh = store.scan(), iter(store), store.scan()
    next(scan), next(keys)
    store.close()
    for iterator in (scan, keys, fresh):
        with pytest.raises(nyala.ClosedError):
            next(iterator)
    with pytest.raises(nyala.ClosedError):
        scan.position


def test_scans_keep_their_store():
    store = nyala.Store(max_bytes=MIB)
    store["k"] = b"v"
    scan = store.scan()
    alive = weakref.ref(store)
    del store
    gc.collect()
    assert alive() is not None and list(scan) == [(b"k", b"v")]
    del scan
    assert alive() is None


def test_views_keep_their_store():
    keys = nyala.Store(max_bytes=MIB).keys()
    assert list(keys) == []


def test_cycles_through_a_clock_are_collected():
    class Owner:
        def __init__(self):
            self.store = nyala.Store(max_bytes=MIB, clock=self.now)
            self.scan = self.store.scan()

        def now(self):
            return 1.0

    owner = Owner()
    owner.store["k"] = b"v"
    dead = weakref.ref(owner), weakref.ref(owner.store)
    del owner
    gc.collect()
    assert [ref() for ref in dead] == [None, None]


def test_nothing_keeps_a_closed_store():
    store = nyala.Store(max_bytes=MIB)
    store["k"] = b"v"
    scan = store.scan()
    next(scan)
    store.popitem()
    alive = weakref.ref(store)
    store.close()
    del store, scan
    assert alive() is None


def test_opening_and_closing_again_and_again():
    for i in range(300):
        store = nyala.Store(max_bytes=MIB)
        store["k"] = b"%d" % i
        if i % 3:
            store.close()


def test_leaks(store):
    """Objects made and dropped by operations are all gone afterwards."""
    store.update({b"%d" % i: b"x" * 100 for i in range(100)})

    def use():
        keys = [b"%d" % i for i in range(100)]
        store.get_many(keys), list(store.scan()), list(store), store.stats(), store.info("1"), store.keys()
        memoryview(store.pin("1")), store.get_versioned("1"), dict(store.items()) == store, store.set_many({"a": b"b"})
        for wrong in (lambda: store[5], lambda: store["none"], lambda: store.set("k", b"", ttl=-1)):
            with pytest.raises((TypeError, KeyError, ValueError)):
                wrong()

    for _ in range(20):
        use()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(200):
        use()
    gc.collect()
    assert sys.getallocatedblocks() - before < 200
