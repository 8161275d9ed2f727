"""Every operation of a store, for what must hold of all of them."""

import os
import tempfile


def back_up(store):
    with tempfile.TemporaryDirectory() as folder:
        return store.backup(os.path.join(folder, "copy"))


OPERATIONS = {
    "__contains__": lambda store: b"k" in store,
    "__delitem__": lambda store: store.__delitem__(b"k"),
    "__enter__": lambda store: store.__enter__(),
    "__eq__": lambda store: store == {},
    "__getitem__": lambda store: store[b"k"],
    "__iter__": lambda store: iter(store),
    "__len__": lambda store: len(store),
    "__ne__": lambda store: store != {},
    "__setitem__": lambda store: store.__setitem__(b"k", b"v"),
    "append": lambda store: store.append(b"k", b"v"),
    "backup": back_up,
    "clear": lambda store: store.clear(),
    "contains": lambda store: store.contains(b"k"),
    "delete": lambda store: store.delete(b"k"),
    "delete_if": lambda store: store.delete_if(b"k", 1),
    "delete_many": lambda store: store.delete_many([b"k"]),
    "expire": lambda store: store.expire(b"k", 1.0),
    "expire_at": lambda store: store.expire_at(b"k", 1e9),
    "get": lambda store: store.get(b"k"),
    "get_many": lambda store: store.get_many([b"k"]),
    "get_many of many": lambda store: store.get_many([b"k"] * 5_000),
    "get_versioned": lambda store: store.get_versioned(b"k"),
    "hottest": lambda store: store.hottest(1),
    "increment": lambda store: store.increment(b"n"),
    "info": lambda store: store.info(b"k"),
    "items": lambda store: list(store.items()),
    "keys": lambda store: list(store.keys()),
    "largest": lambda store: store.largest(1),
    "maintain": lambda store: store.maintain(),
    "max_bytes": lambda store: store.max_bytes,
    "persist": lambda store: store.persist(b"k"),
    "pin": lambda store: store.pin(b"k"),
    "pop": lambda store: store.pop(b"k", None),
    "popitem": lambda store: store.popitem(),
    "scan": lambda store: store.scan(),
    "set": lambda store: store.set(b"k", b"v"),
    "set_max_bytes": lambda store: store.set_max_bytes(2 << 20),
    "set_many": lambda store: store.set_many({b"k": b"v"}),
    "set_many atomic": lambda store: store.set_many({b"k": b"v"}, atomic=True),
    "set_many of many": lambda store: store.set_many([(b"k", b"v")] * 5_000),
    "setdefault": lambda store: store.setdefault(b"k", b"v"),
    "stats": lambda store: store.stats(),
    "swap": lambda store: store.swap(b"k", b"v"),
    "sync": lambda store: store.sync(),
    "take": lambda store: store.take(b"k"),
    "ttl": lambda store: store.ttl(b"k"),
    "update": lambda store: store.update(k=b"v"),
    "used_bytes": lambda store: store.used_bytes,
    "values": lambda store: list(store.values()),
}

# What must work on a store that cannot be used any more.
HARMLESS = {"__exit__", "__getnewargs_ex__", "__repr__", "close", "closed", "path"}
