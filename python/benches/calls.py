"""Nanoseconds a call of the commonest operations, beside dict.get in the same process.

Usage: python benches/calls.py [--json]. Values of 100 bytes, keys of 16, chosen at random among 1,000 (cached) and
1,000,000 (not cached). Every number is the least of many repeats and includes the loop around the call; `dict.get` says
how much that is.
"""

import argparse
import json
import platform
import random
import sys
import timeit

import nyala

VALUE = bytes(100)
REPEATS = 25


def nanoseconds(statement, names, calls, per=1):
    """The least time of one pass of the loop `for key in keys`, divided by the calls in it."""
    timer = timeit.Timer(statement, globals=names)
    return min(timer.repeat(REPEATS, 1)) / calls / per * 1e9


def measure(entries, calls):
    keys = [b"key:%012d" % i for i in range(entries)]
    store = nyala.Store(max_bytes=max(64 << 20, entries * 400))
    plain = dict.fromkeys(keys, VALUE)
    store.update(plain)
    chance = random.Random(1)
    # Copies, so that a dict cannot find its key by identity, which no caller's key would have.
    used = [bytes(bytearray(chance.choice(keys))) for _ in range(calls)]
    texts = [key.decode() for key in used]
    missing = [b"mis" + key[3:] for key in used]
    batches = [used[i : i + 32] for i in range(0, calls - calls % 32, 32)]
    names = {"store": store, "plain": plain, "used": used, "texts": texts, "missing": missing, "batches": batches, "value": VALUE}
    names |= {"get": store.get, "set": store.set, "dict_get": plain.get, "get_many": store.get_many, "contains": store.contains}
    return {
        "dict.get": nanoseconds("for key in used: dict_get(key)", names, calls),
        "get": nanoseconds("for key in used: get(key)", names, calls),
        "get, str key": nanoseconds("for key in texts: get(key)", names, calls),
        "get, missing": nanoseconds("for key in missing: get(key)", names, calls),
        "store[key]": nanoseconds("for key in used: store[key]", names, calls),
        "contains": nanoseconds("for key in used: contains(key)", names, calls),
        "get_many of 32, a key": nanoseconds("for keys in batches: get_many(keys)", names, len(batches), 32),
        "store[key] = value": nanoseconds("for key in used: store[key] = value", names, calls),
        "set": nanoseconds("for key in used: set(key, value)", names, calls),
        "scan, an entry": nanoseconds("for item in store.scan(): pass", names, entries),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--entries", type=int, nargs="+", default=[1_000, 1_000_000])
    options = parser.parse_args()
    results = {entries: measure(entries, 20_000) for entries in options.entries}
    if options.json:
        json.dump({"python": platform.python_version(), "unit": "ns", "entries": results}, sys.stdout)
        print()
        return
    print(f"Python {platform.python_version()}, nyala {nyala.__version__}: nanoseconds a call, the least of {REPEATS} repeats")
    print(f"{'':24}" + "".join(f"{f'{entries:,} entries':>20}" for entries in results))
    for name in next(iter(results.values())):
        print(f"{name:24}" + "".join(f"{result[name]:>20.0f}" for result in results.values()))


if __name__ == "__main__":
    main()
