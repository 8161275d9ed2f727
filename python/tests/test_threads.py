"""Many threads and one store."""

import random
import signal
import sys
import threading
import time
import zlib

import pytest

import nyala
from helpers import MIB, longest_value
SECONDS = 3.0


def run(*works):
    """Runs all at once; the first failure of any fails the test."""
    failures = []
    start = threading.Barrier(len(works))

    def body(work):
        start.wait()
        try:
            work()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=body, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def value_of(key, number, size):
    """A value that says whose it is, and shows if any part of it is another's."""
    body = (b"%s %d " % (key, number)) * (size // 12 + 1)
    return b"%08x" % zlib.crc32(body) + body


def check(key, value):
    value = bytes(value)
    body = value[8:]
    assert value[:8] == b"%08x" % zlib.crc32(body), "a mixed value"
    assert body.startswith(key + b" "), "another key's value"


def test_self_validating_values(eager_switching):
    store = nyala.Store(max_bytes=32 * MIB)
    churned = [b"churned %d" % i for i in range(200)]
    always = [b"always %d" % i for i in range(50)]
    for key in always:
        store[key] = value_of(key, 0, 100)
    until = time.monotonic() + SECONDS
    counts = [0] * 4

    def write(seed):
        chance = random.Random(seed)
        while time.monotonic() < until:
            key = chance.choice(churned + always)
            size = chance.choice([10, 100, 100, 1_000, 5_000])
            match chance.randrange(8) if key in churned else 7:
                case 0:
                    store.delete(key)
                case 1:
                    value = store.take(key)
                    assert value is None or check(key, value) is None
                case 2:
                    store.set(key, value_of(key, counts[seed], size), ttl=0.002)
                case 3:
                    store.set(key, value_of(key, counts[seed], size), if_absent=True)
                case 4:
                    keys = chance.sample(churned, 20)
                    store.set_many([(key, value_of(key, counts[seed], size)) for key in keys])
                case 5:
                    found = store.get_versioned(key)
                    if found:
                        check(key, found[0])
                        store.set(key, value_of(key, counts[seed], size), if_version=found[1])
                case 6:
                    store.maintain(0)
                case _:
                    old = store.swap(key, value_of(key, counts[seed], size))
                    assert old is None or check(key, old) is None
            counts[seed] += 1

    def read(seed):
        chance = random.Random(seed)
        pins = []
        while time.monotonic() < until:
            match chance.randrange(4):
                case 0:
                    for _ in range(100):
                        key = chance.choice(churned + always)
                        value = store.get(key)
                        if value is not None:
                            check(key, value)
                        else:
                            assert key in churned, "a key that was always there is missing"
                case 1:
                    keys = chance.sample(churned + always, 100)
                    for key, value in zip(keys, store.get_many(keys), strict=True):
                        if value is not None:
                            check(key, value)
                        else:
                            assert key in churned, "a key that was always there is missing"
                case 2:
                    seen = []
                    for key, value in store.scan():
                        check(key, value)
                        seen.append(key)
                    assert set(always) <= set(seen) and len(set(seen) & set(always)) == sum(key in always for key in seen)
                case 3:
                    key = chance.choice(always)
                    full = len(pins) > 8
                    try:
                        pins.append((key, memoryview(store.pin(key))))
                    except nyala.BusyError:
                        full = True
                    if full:
                        for key, view in pins:
                            check(key, view)
                        pins.clear()
            counts[seed] += 1

    run(*(lambda seed=seed: write(seed) for seed in (0, 1)), *(lambda seed=seed: read(seed) for seed in (2, 3)))
    assert all(counts), counts
    store.close()


def test_increments_are_all_counted(store, eager_switching):
    run(*[lambda: [store.increment("n") for _ in range(5_000)]] * 4)
    assert store["n"] == b"20000"


def test_setdefault_gives_all_one_value(store, eager_switching):
    for i in range(200):
        key = b"%d" % i
        given = []
        run(*(lambda mine=b"%d" % j: given.append(store.setdefault(key, mine)) for j in range(4)))
        assert len(given) == 4 and set(given) == {store[key]}


def test_popitem_gives_each_once(store, eager_switching):
    reference = {b"%d" % i: b"%d" % i for i in range(4_000)}
    store.update(reference)
    popped = []

    def pop():
        while True:
            try:
                popped.append(store.popitem())
            except KeyError:
                return

    run(*[pop] * 4)
    assert len(popped) == 4_000 and dict(popped) == reference


def test_a_scan_shared_gives_each_once(store, eager_switching):
    reference = {b"%d" % i: b"%d" % i for i in range(4_000)}
    store.update(reference)
    scan = store.scan()
    given = []
    run(*[lambda: given.extend(scan)] * 4)
    assert len(given) == 4_000 and dict(given) == reference


def test_close_in_the_middle(eager_switching):
    for i in range(60):
        store = nyala.Store(max_bytes=4 * MIB)
        store.update({b"%d" % j: bytes(500) for j in range(500)})
        keys = [b"%d" % j for j in range(500)] * 4

        def use(operation, store=store):
            with pytest.raises(nyala.ClosedError):
                while True:
                    operation(store)

        def close(store=store):
            time.sleep(0.0005 * (i % 5))
            store.close()

        run(
            lambda: use(lambda store: store.get("7")),
            lambda: use(lambda store: store.get_many(keys)),
            lambda: use(lambda store: sum(1 for _ in store.scan())),
            lambda: use(lambda store: store.set("7", bytes(500))),
            close,
            close,
        )
        assert store.closed


def test_large_values_and_batches_let_others_run():
    # While one thread copies and looks up, another one counts; it would stand still if nothing were detached.
    with nyala.Store(max_bytes=1024 * MIB) as store:
        store["large"] = bytes(min(256 << 10, longest_value(store)))
        keys = [b"large"] * 1_025
        counted = 0
        done = threading.Event()

        def count():
            nonlocal counted
            while not done.is_set():
                counted += 1

        def work():
            for _ in range(200):
                store.get("large")
            store.get_many(keys)
            done.set()

        run(count, work)
        assert counted > 100


def test_taking_and_swapping_large_values_let_others_run():
    counted, done = 0, threading.Event()

    def count():
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0)

    # Nobody has to give way: the counter runs while the other thread is detached, and only then.
    before = sys.getswitchinterval()
    sys.setswitchinterval(1_000)
    counter = threading.Thread(target=count)
    counter.start()
    try:
        with nyala.Store(max_bytes=256 * MIB) as store:
            takes = (store.take, store.pop, lambda key: store.swap(key, b"small"), lambda key: store.popitem())
            for take in takes:
                store.clear()
                store["large"] = bytes(32 * MIB)
                at = counted
                take("large")
                assert counted > at
    finally:
        done.set()
        sys.setswitchinterval(before)
        counter.join()


def test_interrupt():
    """A handler that raises ends a long operation between its steps."""

    class Interrupted(Exception):
        pass

    def handler(*_):
        raise Interrupted

    with nyala.Store(max_bytes=256 * MIB) as store:
        items = [(b"%d" % i, b"x") for i in range(500_000)]
        # Time of the processor, so that a busy machine cannot let it pass before the operation begins.
        before = signal.signal(signal.SIGPROF, handler)
        try:
            signal.setitimer(signal.ITIMER_PROF, 0.01)
            with pytest.raises(Interrupted):
                store.set_many(items)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
        assert 0 < len(store) < 500_000 and len(store) % 1_024 == 0
