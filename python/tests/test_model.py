"""Random operations against a dict."""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import nyala

KEYS = st.sampled_from([b"%d" % i for i in range(12)])
VALUES = st.binary(max_size=300)
TTLS = st.sampled_from([None, 0.001, 1.0, 50.0])


class Model(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now_ms = 1_000_000
        self.entries = {}  # key: (value, moment of expiry in ms or infinity)
        self.versions = set()
        self.store = nyala.Store(max_bytes=1 << 20, clock=lambda: self.now_ms / 1000)

    def teardown(self):
        self.store.close()

    def value(self, key):
        return self.entries.get(key, (None, 0))[0]

    def put(self, key, value, expiry=math.inf):
        self.entries[key] = (value, expiry)
        version = self.store.info(key).version
        assert version not in self.versions
        self.versions.add(version)

    @rule(ms=st.integers(0, 30_000))
    def time_passes(self, ms):
        self.now_ms += ms
        self.entries = {key: entry for key, entry in self.entries.items() if entry[1] > self.now_ms}

    @rule(key=KEYS, value=VALUES, ttl=TTLS, if_absent=st.booleans())
    def set(self, key, value, ttl, if_absent):
        stored = self.store.set(key, value, ttl=ttl, if_absent=if_absent)
        assert stored == (not if_absent or key not in self.entries)
        if stored:
            self.put(key, value, math.inf if ttl is None else self.now_ms + ttl * 1000)

    @rule(key=KEYS, value=VALUES, current=st.booleans())
    def set_if_version(self, key, value, current):
        found = self.store.get_versioned(key)
        version = found[1] if found and current else 1 << 60
        stored = self.store.set(key, value, if_version=version, keep_ttl=True)
        assert stored == bool(found and current)
        if stored:
            self.put(key, value, self.entries[key][1])

    @rule(key=KEYS, value=VALUES)
    def swap(self, key, value):
        assert self.store.swap(key, value) == self.value(key)
        self.put(key, value)

    @rule(key=KEYS, value=VALUES)
    def setdefault(self, key, value):
        assert self.store.setdefault(key, value) == self.entries.get(key, (value,))[0]
        if key not in self.entries:
            self.put(key, value)

    @rule(key=KEYS, tail=st.binary(max_size=40))
    def append(self, key, tail):
        value, expiry = self.entries.get(key, (b"", math.inf))
        assert self.store.append(key, tail) == len(value + tail)
        self.entries[key] = (value + tail, expiry)

    @rule(key=KEYS, delta=st.integers(-(2**63), 2**63 - 1))
    def increment(self, key, delta):
        value, expiry = self.entries.get(key, (b"0", math.inf))
        try:
            number = int(value) if str(int(value)).encode() == value else None
        except ValueError:
            number = None
        try:
            total = self.store.increment(key, delta)
        except nyala.NotANumberError:
            assert number is None or not -(2**63) <= number < 2**63
        except nyala.OverflowError:
            assert not -(2**63) <= number + delta < 2**63
        else:
            assert total == number + delta
            self.put(key, b"%d" % total, expiry)

    @rule(key=KEYS, ttl=st.sampled_from([0.5, 10.0, 100.0]), only_if=st.sampled_from([None, "none", "any", "later", "sooner"]))
    def expire(self, key, ttl, only_if):
        done = self.store.expire(key, ttl, only_if)
        if key not in self.entries:
            assert not done
            return
        value, expiry = self.entries[key]
        new = self.now_ms + ttl * 1000
        holds = {None: True, "none": expiry == math.inf, "any": expiry != math.inf, "later": new > expiry, "sooner": new < expiry}
        assert done == holds[only_if]
        if done:
            self.entries[key] = (value, new)

    @rule(key=KEYS)
    def persist(self, key):
        value, expiry = self.entries.get(key, (None, math.inf))
        assert self.store.persist(key) == (expiry != math.inf)
        if value is not None:
            self.entries[key] = (value, math.inf)

    @rule(key=KEYS)
    def take(self, key):
        assert self.store.take(key) == self.value(key)
        self.entries.pop(key, None)

    @rule(key=KEYS)
    def delete(self, key):
        assert self.store.delete(key) == (key in self.entries)
        self.entries.pop(key, None)

    @rule(keys=st.lists(KEYS))
    def delete_many(self, keys):
        assert self.store.delete_many(keys) == [self.entries.pop(key, None) is not None for key in keys]

    @rule(items=st.lists(st.tuples(KEYS, VALUES)))
    def set_many(self, items):
        assert self.store.set_many(items) == len(items)
        self.entries.update((key, (value, math.inf)) for key, value in items)

    @rule(items=st.lists(st.tuples(KEYS, VALUES), max_size=8))
    def set_many_atomic(self, items):
        assert self.store.set_many(items, atomic=True) == len(items)
        self.entries.update((key, (value, math.inf)) for key, value in items)

    @rule()
    def popitem(self):
        if self.entries:
            key, value = self.store.popitem()
            assert self.entries.pop(key)[0] == value

    @rule()
    def clear(self):
        self.store.clear()
        self.entries.clear()

    @rule()
    def maintain(self):
        self.store.maintain(0.001)

    @invariant()
    def agrees(self):
        reference = {key: value for key, (value, _) in self.entries.items()}
        assert dict(self.store.scan()) == reference
        keys = [b"%d" % i for i in range(12)]
        assert self.store.get_many(keys) == [reference.get(key) for key in keys] == [self.store.get(key) for key in keys]
        for key, (value, expiry) in self.entries.items():
            info = self.store.info(key)
            assert info.value_len == len(value)
            assert info.ttl == (math.inf if expiry == math.inf else (expiry - self.now_ms) / 1000)


TestModel = Model.TestCase
TestModel.settings = settings(deadline=None, max_examples=150, stateful_step_count=40)
