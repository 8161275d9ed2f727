"""Python code that runs in the middle of operations, and uses the store."""

import gc
import threading

import pytest

import nyala
from helpers import MIB, Clock
from operations import OPERATIONS


def test_a_clock_may_use_its_store():
    calls = []

    def clock():
        calls.append(1)
        if calls[1:]:
            store["seen by the clock"] = b"%d" % len(calls)
            len(store), list(store.scan()), store.get_many(["k"])
        return 1_000.0

    store = nyala.Store(max_bytes=MIB, clock=clock)
    store["k"] = b"v"
    assert store["k"] == b"v" and store["seen by the clock"] == b"%d" % len(calls)
    assert len(calls) == 4


def test_two_clocks_may_use_each_others_stores():
    stores = []

    def clock():
        for store in stores:
            store.get("k")
        return 1_000.0

    first = nyala.Store(max_bytes=MIB, clock=clock)
    second = nyala.Store(max_bytes=MIB, clock=clock)
    stores.append(first)
    first["k"] = b"1"
    second["k"] = b"2"
    assert (first["k"], second["k"]) == (b"1", b"2")


def test_a_clock_that_closes_its_store():
    closing = []

    def clock():
        if closing:
            store.close()
        return 1.0

    store = nyala.Store(max_bytes=MIB, clock=clock)
    closing.append(1)
    with pytest.raises(nyala.ClosedError):
        store.get("k")


class Weary(Exception):
    pass


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_clock_that_raises_fails_the_operation(name):
    class Raising(Clock):
        def __call__(self):
            if self.now is None:
                raise Weary
            return self.now

    clock = Raising()
    with nyala.Store(max_bytes=MIB, clock=clock) as store:
        store["k"] = b"untouched"
        store["n"] = b"1"
        clock.now = None
        with pytest.raises(Weary):
            OPERATIONS[name](store)
        assert repr(store).startswith("<nyala.Store of 2")
        clock.now = 2_000.0
        assert store == {b"k": b"untouched", b"n": b"1"}


def test_a_clock_that_answers_nonsense():
    clock = Clock()
    with nyala.Store(max_bytes=MIB, clock=clock) as store:
        for now, error, text in [
            (float("nan"), nyala.InvalidArgumentError, r"clock\(\) = NaN s is out of range"),
            (float("inf"), nyala.InvalidArgumentError, r"clock\(\) = inf s"),
            (-1, nyala.InvalidArgumentError, r"clock\(\) = -1.0 s"),
            (1e300, nyala.InvalidArgumentError, r"clock\(\) = 1e300 s"),
            ("noon", TypeError, r"clock\(\) must be a number of seconds, not 'str'"),
            (None, TypeError, r"clock\(\) must be a number of seconds, not 'NoneType'"),
        ]:
            clock.now = now
            with pytest.raises(error, match=text):
                store.get("k")
            with pytest.raises(error, match=text):
                nyala.Store(max_bytes=MIB, clock=clock)


def test_items_that_use_the_store(store):
    def items():
        for i in range(3_000):
            store[b"side effect"] = b"%d" % i
            yield b"%d" % i, b"x"

    assert store.set_many(items()) == 3_000
    assert store["side effect"] == b"2999" and len(store) == 3_001
    assert store.get_many(key for key in store.keys() if store.delete(key) or True) == [None] * 3_001


def test_items_that_close_the_store():
    store = nyala.Store(max_bytes=MIB)

    def items():
        yield b"k", b"v"
        store.close()
        yield b"l", b"w"

    with pytest.raises(nyala.ClosedError):
        store.set_many(items())


def test_keys_that_are_taken_away(store):
    store.update({b"%d" % i: b"x" for i in range(10)})
    keys = [b"%d" % i for i in range(10)]

    class Keys:
        def __iter__(self):
            while keys:
                yield keys.pop()

    assert store.get_many(Keys()) == [b"x"] * 10 and keys == []


def test_a_store_updated_with_itself(store):
    store.update({b"%d" % i: b"x" for i in range(3_000)})
    store.update(store)
    assert store.set_many(store.items()) == 3_000
    assert len(store) == 3_000


@pytest.mark.parametrize("name", OPERATIONS)
def test_garbage_collection_in_the_middle(name, eager_gc):
    """Whatever the collector runs while an operation makes its objects may use the store, and close it."""
    store = nyala.Store(max_bytes=MIB)
    store.update(k=b"v", n=b"1")
    running = []

    def use(phase, info):
        if not running and not store.closed:
            running.append(1)
            for i in range(3):
                store.get(b"k"), store.set(b"k", b"v"), next(store.scan(), None)
            running.pop()

    def close(phase, info):
        store.close()

    for callback in (use, close):
        gc.callbacks.append(callback)
        try:
            for _ in range(3):
                try:
                    OPERATIONS[name](store)
                except (KeyError, nyala.ClosedError):
                    pass
        finally:
            gc.callbacks.remove(callback)


def test_a_finalizer_that_uses_a_shared_scan(store, eager_gc):
    store.update({b"%d" % i: b"x" for i in range(500)})
    scan = store.scan()
    seen = []

    class Cycle:
        def __init__(self):
            self.me = self

        def __del__(self):
            seen.extend(item for item in [next(scan, None)] if item)

    def work():
        for item in scan:
            seen.append(item)
            Cycle()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    gc.collect()
    assert len(dict(seen)) == len(seen) == 500
