"""A store does not cross fork."""

import os
import pickle
import signal

import pytest

import nyala
from helpers import MIB
from operations import OPERATIONS


def in_child(work):
    """What `work` answers in a forked child, which is killed if it hangs."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        status = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(work(), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0
    return pickle.loads(answer)


def outcome(operation, *args):
    try:
        operation(*args)
    except Exception as error:  # noqa: BLE001
        return type(error).__name__
    return "no error"


@pytest.fixture
def store():
    with nyala.Store(max_bytes=4 * MIB) as store:
        store["k"] = b"v"
        yield store


def test_every_operation_is_refused(store):
    outcomes = in_child(lambda: {name: outcome(operation, store) for name, operation in OPERATIONS.items()})
    assert outcomes == dict.fromkeys(OPERATIONS, "ForkedError")
    # The parent goes on.
    assert store["k"] == b"v"
    store["k"] = b"w"
    assert store["k"] == b"w" and len(store) == 1


def test_the_message_says_what_to_do(store):
    def message():
        try:
            store.get("k")
        except nyala.ForkedError as error:
            return str(error)

    assert "open another one in the child" in in_child(message)


def test_iterators_are_refused(store):
    store.update({b"%d" % i: b"x" for i in range(100)})
    scan, keys = store.scan(), iter(store)
    next(scan), next(keys)
    assert in_child(lambda: [outcome(next, scan), outcome(next, keys), outcome(lambda: scan.position)]) == ["ForkedError"] * 3
    assert len(list(scan)) == 100


def test_pins_stay_readable(store):
    pin = store.pin("k")
    assert in_child(lambda: bytes(pin)) == b"v"


def test_repr_and_close_in_the_child(store):
    def work():
        shown = repr(store)
        store.close()
        return shown, store.closed

    assert in_child(work) == ("<nyala.Store, ForkedError>", True)
    assert not store.closed and store["k"] == b"v"


def test_a_store_of_the_childs_own(store):
    def work():
        with nyala.Store(max_bytes=MIB) as own:
            own["k"] = b"child"
            return own["k"], outcome(store.get, "k")

    assert in_child(work) == (b"child", "ForkedError")


def test_a_child_of_a_child(store):
    assert in_child(lambda: in_child(lambda: outcome(store.get, "k"))) == "ForkedError"


def test_letting_go_in_the_child():
    stores = [nyala.Store(max_bytes=MIB)]
    stores[0]["k"] = b"v"
    pins = [stores[0].pin("k")]

    def work():
        stores.clear()
        pins.clear()
        return "gone"

    assert in_child(work) == "gone"
    assert stores[0]["k"] == b"v" == bytes(pins[0])
