"""A store is a mutable mapping."""

import collections
from collections import abc

import pytest

import nyala
from helpers import MIB


def test_is_registered(store):
    assert isinstance(store, abc.MutableMapping)
    assert issubclass(nyala.Store, abc.MutableMapping)
    public = {name for name in dir(abc.MutableMapping) if not name.startswith("_")}
    assert public <= set(dir(nyala.Store)) and "get" in public and "popitem" in public


def test_items(store):
    assert len(store) == 0 and not store
    store[b"a"] = b"1"
    store["b"] = b""
    assert store[b"b"] == b"" and b"b" in store and "a" in store
    assert len(store) == 2 and store
    store["a"] = b"2"
    assert store["a"] == b"2" and len(store) == 2
    del store["a"]
    assert "a" not in store
    with pytest.raises(KeyError) as raised:
        store["a"]
    assert raised.value.args == ("a",)
    with pytest.raises(KeyError) as raised:
        del store[b"a"]
    assert raised.value.args == (b"a",)


def test_get(store):
    store["a"] = b"1"
    assert store.get("a") == b"1"
    assert store.get("a", 7) == b"1"
    assert store.get("b") is None
    assert store.get("b", 7) == 7
    with pytest.raises(TypeError):
        store.get()
    with pytest.raises(TypeError):
        store.get("a", default=1)


def test_pop(store):
    store["a"] = b"1"
    assert store.pop("a") == b"1"
    with pytest.raises(KeyError) as raised:
        store.pop("a")
    assert raised.value.args == ("a",)
    assert store.pop("a", None) is None
    with pytest.raises(TypeError, match="at most 2 arguments, got 3"):
        store.pop("a", 1, 2)


def test_popitem(store):
    reference = {b"%d" % i: b"%d" % (i * i) for i in range(2_000)}
    store.update(reference)
    popped = {}
    for i in range(1_000):
        key, value = store.popitem()
        popped[key] = value
    store.update({b"late %d" % i: b"" for i in range(10)})
    while store:
        key, value = store.popitem()
        assert key not in popped
        popped[key] = value
    assert popped == reference | {b"late %d" % i: b"" for i in range(10)}
    with pytest.raises(KeyError, match="empty"):
        store.popitem()
    store["again"] = b"1"
    assert store.popitem() == (b"again", b"1")


def test_popitem_passes_over_what_is_gone(store):
    store.update({b"%d" % i: b"x" for i in range(100)})
    first, _ = store.popitem()
    rest = [key for key in store]
    store.delete_many(rest[1:])
    assert store.popitem() == (rest[0], b"x")
    with pytest.raises(KeyError):
        store.popitem()


def test_setdefault(store):
    value = b"1"
    assert store.setdefault("a", value) == b"1"
    assert store.setdefault("a", b"2") == b"1"
    assert store.setdefault("b", bytearray(b"3")) == b"3"
    assert type(store.setdefault("c", memoryview(b"4"))) is bytes
    with pytest.raises(TypeError):
        store.setdefault("d")
    with pytest.raises(TypeError, match="value must be a bytes-like object, not 'NoneType'"):
        store.setdefault("d", None)


def test_update(store):
    class KeysOnly:
        def keys(self):
            return iter([b"k"])

        def __getitem__(self, key):
            assert key == b"k"
            return b"keys only"

    with nyala.Store(max_bytes=MIB) as other:
        other["other"] = b"store"
        store.update(other)
    store.update({"dict": b"1"})
    store.update(collections.OrderedDict(ordered=b"2"))
    store.update(KeysOnly())
    store.update([("pairs", b"3"), ["lists", bytearray(b"4")]])
    store.update(item for item in [(memoryview(b"generator"), b"5")])
    store.update((), named=b"6", other2=b"7")
    store.update()
    assert dict(store) == {
        b"other": b"store",
        b"dict": b"1",
        b"ordered": b"2",
        b"k": b"keys only",
        b"pairs": b"3",
        b"lists": b"4",
        b"generator": b"5",
        b"named": b"6",
        b"other2": b"7",
    }


def test_clear(store):
    store.update({b"%d" % i: b"x" for i in range(100)})
    store.clear()
    assert len(store) == 0 and list(store) == [] and store == {}


def test_views(store):
    reference = {b"a": b"1", b"b": b"2", b"c": b"2"}
    store.update(reference)
    keys, values, items = store.keys(), store.values(), store.items()
    assert isinstance(keys, abc.KeysView) and isinstance(values, abc.ValuesView) and isinstance(items, abc.ItemsView)
    assert len(keys) == len(values) == len(items) == 3
    assert sorted(keys) == sorted(store) == [b"a", b"b", b"c"]
    assert sorted(values) == [b"1", b"2", b"2"]
    assert sorted(items) == sorted(reference.items())
    assert b"a" in keys and "a" in keys and b"z" not in keys
    assert b"2" in values and b"3" not in values
    assert (b"a", b"1") in items and (b"a", b"2") not in items and (b"z", b"1") not in items
    assert keys & {b"a", b"z"} == {b"a"}
    assert keys | {b"z"} == {b"a", b"b", b"c", b"z"}
    assert items - {(b"a", b"1")} == {(b"b", b"2"), (b"c", b"2")}
    assert keys == reference.keys() and items == reference.items()
    store["d"] = b"3"
    assert len(keys) == 4 and b"d" in keys and b"3" in values
    store["e"] = b"secret"
    assert "secret" not in repr(keys) + repr(values) + repr(items)


def test_equality(store):
    reference = {b"a": b"1", b"b": b"2"}
    store.update(reference)
    with nyala.Store(max_bytes=MIB) as other:
        other.update(reference)
        assert store == reference and reference == store and store == store and store == other
        assert store == collections.ChainMap(reference)
        other["a"] = b"other"
        assert store != other
    assert store != {b"a": b"1"} and store != {**reference, b"c": b"3"} and store != {b"a": b"1", b"b": b"3"}
    # A str stands for a key in a call; as a key of another mapping it is another key.
    assert store != {"a": b"1", "b": b"2"}
    assert store != [(b"a", b"1")] and store != None and not store == 5  # noqa: E711
    with pytest.raises(TypeError):
        store < reference
    with pytest.raises(TypeError, match="unhashable"):
        hash(store)


def test_equality_leaves_out_what_has_expired(store, clock):
    with nyala.Store(max_bytes=MIB, clock=clock) as other:
        for each in (store, other):
            each["stays"] = b"1"
        store.set("goes", b"2", ttl=1)
        assert store != other
        clock.now += 2
        assert store == other and other == store and store == {b"stays": b"1"}


def test_iterates_while_it_changes(store):
    store.update({b"%d" % i: b"x" for i in range(500)})
    seen = set()
    for i, key in enumerate(store):
        assert key not in seen
        seen.add(key)
        store[b"new %d" % i] = b"y"
        store[key] = b"changed"
        if i == 5_000:
            break
    assert {b"%d" % i for i in range(500)} <= seen


def test_is_not_reversible(store):
    with pytest.raises(TypeError):
        reversed(store)


try:
    from test import mapping_tests
except ImportError:
    # Distributions leave the interpreter's own tests out; the ones above say the same.
    pass
else:

    class TestLikeTheInterpreterDoes(mapping_tests.BasicTestMappingProtocol):
        def _reference(self):
            return {b"1": b"2", b"key1": b"value1", b"key2": b"\x00\xff"}

        def _empty_mapping(self):
            return nyala.Store(max_bytes=MIB)
