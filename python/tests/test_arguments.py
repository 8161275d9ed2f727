"""Arguments of the wrong kind, and of strange kinds."""

import decimal
import fractions
import string
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nyala
from helpers import MIB

NOT_KEYS = [None, 1, 1.5, True, [], [1, 2], (), {}, object(), int, ..., range(3), lambda: b""]


@pytest.mark.parametrize("wrong", NOT_KEYS, ids=lambda wrong: type(wrong).__name__)
def test_wrong_types_are_named(store, wrong):
    name = type(wrong).__name__
    store["k"] = b"v"
    for operation in (
        store.get, store.get_versioned, store.pin, store.take, store.delete, store.contains, store.info, store.persist,
        store.ttl, store.pop, store.increment, store.__getitem__, store.__delitem__, store.__contains__,
        lambda key: key in store.keys(),
        lambda key: store.get_many([b"k", key]),
        lambda key: store.delete_many([b"k2", key]),
        lambda key: store.set(key, b""),
        lambda key: store.set_many([(b"k3", b""), (key, b"")]),
        lambda key: store.swap(key, b""),
        lambda key: store.append(key, b""),
        lambda key: store.setdefault(key, b""),
        lambda key: store.__setitem__(key, b""),
        lambda key: store.delete_if(key, 1),
        lambda key: store.expire(key, 1),
        lambda key: store.expire_at(key, 1),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=f"^key must be a bytes-like object or str, not '{name}'$"):
            operation(wrong)
    with pytest.raises(TypeError, match=f"^prefix must be a bytes-like object or str, not '{name}'$"):
        store.scan(wrong)
    for value in (wrong, "text"):
        name = type(value).__name__
        for operation in (
            lambda: store.set("k", value),
            lambda: store.__setitem__("k", value),
            lambda: store.swap("k", value),
            lambda: store.append("k", value),
            lambda: store.setdefault("new", value),
            lambda: store.set_many({"new": value}),
            lambda: store.update(new=value),
        ):
            with pytest.raises(TypeError, match=f"^value must be a bytes-like object, not '{name}'$"):
                operation()
    assert store == {b"k": b"v"}


def test_wrong_numbers_are_named(store):
    store["k"] = b"v"
    for wrong in ("1", b"1", [], object(), 1j):
        name = type(wrong).__name__
        for operation in (lambda: store.set("k", b"", ttl=wrong), lambda: store.expire("k", wrong)):
            with pytest.raises(TypeError, match=f"^ttl must be a number of seconds, not '{name}'$"):
                operation()
        with pytest.raises(TypeError, match=f"^at must be a number of seconds, not '{name}'$"):
            store.expire_at("k", wrong)
        with pytest.raises(TypeError, match=f"^budget must be a number of seconds, not '{name}'$"):
            store.maintain(wrong)
    for wrong in ("1", 1.5, None, decimal.Decimal(1)):
        name = type(wrong).__name__
        with pytest.raises(TypeError, match=f"^delta must be an int, not '{name}'$"):
            store.increment("n", wrong)
        with pytest.raises(TypeError, match=f"^version must be an int, not '{name}'$"):
            store.delete_if("k", wrong)
        with pytest.raises(TypeError, match=f"^position must be an int, not '{name}'$"):
            store.scan(position=wrong)
    with pytest.raises(TypeError, match="only_if must be None, 'none', .* not 'int'"):
        store.expire("k", 1, only_if=1)
    with pytest.raises(TypeError):
        store.set("k", b"", if_absent=1)
    with pytest.raises(TypeError, match="clock must be callable, not 'int'"):
        nyala.Store(max_bytes=MIB, clock=5)


def test_numbers_of_other_kinds(store):
    class Index:
        def __index__(self):
            return 3

    for ttl in (decimal.Decimal("3"), fractions.Fraction(3), Index(), 3):
        store.set("k", b"", ttl=ttl)
        assert store.ttl("k") == 3.0
    assert store.increment("n", Index()) == 3


def test_what_a_number_raises_comes_through(store):
    class Broken:
        def __index__(self):
            raise ZeroDivisionError

        __float__ = __index__

    for operation in (
        lambda: store.set("k", b"", ttl=Broken()),
        lambda: store.increment("k", Broken()),
        lambda: store.delete_if("k", Broken()),
        lambda: nyala.Store(max_bytes=Broken()),
    ):
        with pytest.raises(ZeroDivisionError):
            operation()


def test_one_key_is_not_several(store):
    for wrong in ("abc", b"abc", bytearray(b"abc"), memoryview(b"abc")):
        name = type(wrong).__name__
        for operation in (store.get_many, store.delete_many):
            with pytest.raises(TypeError, match=f"keys must be an iterable of keys, not one '{name}'"):
                operation(wrong)
    for operation in (store.get_many, store.delete_many, store.set_many, store.update):
        with pytest.raises(TypeError, match="not iterable"):
            operation(5)


def test_items_that_are_no_pairs(store):
    with pytest.raises(TypeError, match="item 1 must be a pair of key and value, not 'int'"):
        store.set_many([(b"k", b"v"), 5])
    with pytest.raises(ValueError, match="item 0 has 3 parts"):
        store.set_many([(b"k", b"v", b"w")])
    with pytest.raises(ValueError, match="item 0 has 1 parts"):
        store.set_many([[b"k"]])
    with pytest.raises(ZeroDivisionError):
        store.set_many([(1 / 0 for _ in "x")])


def test_lone_surrogates_are_no_key(store):
    with pytest.raises(UnicodeEncodeError):
        store["\ud800"] = b""


def test_released_and_readonly_buffers(store):
    view = memoryview(b"abc")
    view.release()
    with pytest.raises(ValueError, match="released"):
        store.get(view)
    with pytest.raises(ValueError, match="released"):
        store["k"] = view


def test_nothing_is_held_of_arguments(store):
    value = bytearray(b"abc")
    store["k"] = value
    store.get_many([value])
    # A buffer that is still exported cannot grow.
    value.extend(b"d")
    key = b"a key like no other"
    default = object()
    before = sys.getrefcount(key), sys.getrefcount(default)
    for _ in range(100):
        store[key] = key
        store.get(key, default)
        store.get(b"missing", default)
        store.get_many([key] * 3)
        store.set_many([(key, key)])
        store.pop(key, default)
        store.pop(key, default)
    assert (sys.getrefcount(key), sys.getrefcount(default)) == before


class TestSubclasses:
    """What subclasses of bytes and str say of themselves does not matter: their contents are taken."""

    class Bytes(bytes):
        def fail(self, *_):
            raise AssertionError

        __len__ = __getitem__ = __iter__ = __eq__ = __hash__ = __bytes__ = __str__ = __repr__ = fail

    class Text(str):
        def fail(self, *_):
            raise AssertionError

        __len__ = __getitem__ = __iter__ = __eq__ = __hash__ = __str__ = __repr__ = encode = fail

    def test(self, store):
        store[self.Bytes(b"k")] = self.Bytes(b"v")
        assert store[self.Text("k")] == b"v"
        assert store.get_many([self.Bytes(b"k"), self.Text("k")]) == [b"v", b"v"]
        assert type(store.setdefault("new", self.Bytes(b"w"))) is bytes
        with pytest.raises(KeyError):
            store[self.Bytes(b"missing")]


def test_objects_with_a_buffer_of_their_own(store):
    class Buffer:
        def __buffer__(self, flags):
            return memoryview(b"from python")

    if sys.version_info >= (3, 12):
        store[Buffer()] = Buffer()
        assert store == {b"from python": b"from python"}
    else:
        with pytest.raises(TypeError, match="not 'Buffer'"):
            store[Buffer()] = b""


def test_a_type_with_a_broken_name(store):
    class Meta(type):
        @property
        def __name__(cls):
            raise ZeroDivisionError

    class Strange(metaclass=Meta):
        pass

    with pytest.raises(TypeError, match="key must be"):
        store.get(Strange())


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=4,
)
methods = st.sampled_from(sorted(name for name in dir(nyala.Store) if not name.startswith("_") and name not in ("close", "closed", "max_bytes", "used_bytes", "maintain")))


@settings(deadline=None, max_examples=500)
@given(methods, st.lists(anything, max_size=4), st.dictionaries(st.text(string.ascii_lowercase + "_", max_size=9), anything, max_size=1))
def test_any_arguments(name, args, named):
    with nyala.Store(max_bytes=MIB) as store:
        store["k"] = b"v"
        try:
            getattr(store, name)(*args, **named)
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            assert not isinstance(error, SystemError) and str(error)
        assert isinstance(store.get("k", b""), bytes)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.binary(min_size=1, max_size=300), st.binary(max_size=3_000), max_size=50))
def test_any_bytes_come_back(reference):
    with nyala.Store(max_bytes=16 * MIB) as store:
        store.update(reference)
        assert store == reference
        assert store.get_many(reference) == list(reference.values())
        assert sorted(store.scan()) == sorted(reference.items())
