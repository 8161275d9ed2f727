"""Stores in files: what is there when they are opened again, who may open them, and what is refused."""

import builtins
import copy
import errno
import gc
import os
import pathlib
import pickle
import stat
import subprocess
import sys
import threading
import time

import pytest

import nyala
from helpers import MIB, Clock
from operations import OPERATIONS
from test_fork import in_child, outcome

NOBODY = 65_534

LEVELS = [
    pytest.param({}, id="default"),
    pytest.param({"durability": "process"}, id="process"),
    pytest.param({"durability": "interval", "sync_interval": 0.001}, id="interval"),
    pytest.param({"durability": "interval", "sync_interval": 1e15}, id="endless interval"),
    pytest.param({"durability": "sync"}, id="sync"),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.nyala"


@pytest.mark.parametrize("level", LEVELS)
def test_entries_are_there_again(path, level):
    with nyala.Store(path, **level) as store:
        store.update({b"%d" % i: bytes([i % 256]) * i for i in range(300)})
        assert all(store.delete_many(b"%d" % i for i in range(0, 300, 3)))
        store["empty"] = b""
        assert store.increment("visits", 42) == 42
        store.set("session", b"x", ttl=1_000.0)
        version = store.info("1").version
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for _ in range(2):
        with nyala.Store(path, **level) as store:
            assert len(store) == 203 and store["visits"] == b"42" and store["empty"] == b""
            assert all(store.get(b"%d" % i) == (None if i % 3 == 0 else bytes([i % 256]) * i) for i in range(300))
            assert 900 < store.ttl("session") <= 1_000 and store.ttl("1") == float("inf")
            assert store.info("1").version == version
            assert store.swap("new", b"1") is None and store.take("new") == b"1"
            assert store.max_bytes == nyala.DEFAULT_FILE_BYTES == 256 << 30


@pytest.mark.parametrize("level", LEVELS)
def test_large_values_are_there_again(path, level):
    value = bytes(range(256)) * (20 * MIB // 256)
    with nyala.Store(path, max_bytes=96 * MIB, **level) as store:
        store["large"] = value
        with pytest.raises(nyala.TooLargeError, match="the limit is 25165824 bytes"):
            store["larger"] = bytes(24 * MIB + 1)
    with nyala.Store(path, max_bytes=96 * MIB, **level) as store:
        assert store["large"] == value and store.append("large", b"!") == len(value) + 1
        with memoryview(store.pin("large")) as pinned:
            store["large"] = b"small"
            assert pinned[-1:] == b"!"
        assert dict(store) == {b"large": b"small"}


@pytest.mark.parametrize("level", LEVELS)
def test_every_operation_works(path, level):
    with nyala.Store(path, max_bytes=16 * MIB, **level) as store:
        for name, operation in OPERATIONS.items():
            store.clear()
            store["k"] = b"1"
            # At level sync each of many waits for the disk.
            if name != "set_max_bytes" and not (name == "set_many of many" and level == {"durability": "sync"}):
                operation(store)


def test_another_cap(path):
    with nyala.Store(path, max_bytes=16 * MIB) as store:
        store["k"] = b"v"
        store.set_max_bytes(8 * MIB)
        assert store.max_bytes == 8 * MIB and store["k"] == b"v"
        store.set_max_bytes(16 * MIB)
        for max_bytes in (4 * MIB - 1, 16 * MIB + 1):
            with pytest.raises(nyala.InvalidArgumentError, match=f"max_bytes = {max_bytes} bytes lies outside 4194304 to 16777216 bytes"):
                store.set_max_bytes(max_bytes)


def test_the_clock_and_the_listener_work(path):
    gone, clock = [], Clock()
    listener = lambda *entry: gone.append(entry)  # noqa: E731
    with nyala.Store(path, on_removal=listener, clock=clock) as store:
        store.set("k", b"v", ttl=10)
        store["other"] = b"w"
        del store["other"]
    clock.now += 20
    with nyala.Store(path, on_removal=listener, clock=clock, count_reads=True) as store:
        assert "k" not in store and store.stats().misses == 1
    assert gone == [(b"other", b"w", "removed")]


def test_a_cache_in_a_file(path):
    with nyala.Store(path, max_bytes=4 * MIB, eviction="adaptive") as cache:
        for i in range(20_000):
            cache[b"%d" % i] = bytes(1_000)
        assert cache.stats().evicted > 10_000
        left = dict(cache)
    with nyala.Store(path, max_bytes=4 * MIB, eviction="adaptive") as cache:
        assert dict(cache) == left and len(left) > 1_000
    assert path.stat().st_size <= 5 * MIB


def test_a_process_that_never_closes(path):
    program = "import nyala, os, sys\ns = nyala.Store(sys.argv[1])\nfor i in range(1000): s[b'%d' % i] = b'v'\nos._exit(0)"
    subprocess.run([sys.executable, "-c", program, path], check=True)
    with nyala.Store(path) as store:
        assert len(store) == 1_000 and store["999"] == b"v"


@pytest.mark.parametrize("end", ["", "s.close()", "del s", "nyala.held = s"])
@pytest.mark.parametrize("level", LEVELS)
def test_a_process_that_ends(path, level, end):
    program = f"import nyala, sys\ns = nyala.Store(sys.argv[1], **{level!r})\ns['k'] = b'v'\n{end}"
    done = subprocess.run([sys.executable, "-X", "dev", "-c", program, path], check=True, capture_output=True, timeout=60)
    assert done.stderr == b""
    with nyala.Store(path) as store:
        assert store["k"] == b"v"


# Who has it open.


def test_one_store_at_a_time(path):
    with nyala.Store(path) as store:
        with pytest.raises(nyala.LockedError, match="is locked: (another process|process %d) has it open" % os.getpid()) as raised:
            nyala.Store(path)
        assert str(path) in str(raised.value)
        store["k"] = b"v"
    for _ in range(20):
        with nyala.Store(path) as store:
            assert store["k"] == b"v"


def test_closing_lets_go_of_the_file(path):
    store = nyala.Store(path)
    store.update({b"%d" % i: b"v" for i in range(5_000)})
    scans = [store.scan(), iter(store), iter(store.items()), iter(store.values())]
    for scan in scans:
        next(scan)
    store.popitem()
    store.close()
    # Scans that are not at their end are not in the way.
    with nyala.Store(path) as again:
        assert len(again) == 4_999
        for scan in scans:
            with pytest.raises(nyala.ClosedError):
                next(scan)
        with pytest.raises(nyala.ClosedError):
            scans[0].position  # noqa: B018


def test_many_scans_are_forgotten(path):
    with nyala.Store(path) as store:
        store.update({b"%d" % i: b"v" for i in range(10)})
        held = [store.scan() for _ in range(100)]
        for _ in range(10_000):
            next(store.scan())
        assert all(len(list(scan)) == 10 for scan in held)
    with nyala.Store(path) as store:
        assert len(store) == 10


def test_pins_hold_the_file(path):
    store = nyala.Store(path)
    store["k"] = b"v"
    pin = store.pin("k")
    store.close()
    with pytest.raises(nyala.LockedError):
        nyala.Store(path)
    assert bytes(pin) == b"v"
    del pin
    with nyala.Store(path) as store:
        assert store["k"] == b"v"


def test_collected_stores_let_go_of_the_file(path):
    for i in range(3):
        store = nyala.Store(path)
        assert store.get("k") == (None if i == 0 else b"v")
        store["k"] = b"v"
        # The last reference goes with the next assignment at the latest; here at once.
        del store

    class Listening:
        def __init__(self):
            self.store = nyala.Store(path, on_removal=self.hear)

        def hear(self, *entry):
            pass

    listening = Listening()
    del listening
    gc.collect()
    with nyala.Store(path) as store:
        assert store["k"] == b"v"


def test_failing_to_open_locks_nothing(path):
    path.write_bytes(b"no store, but long enough to be looked at" * 1_000)
    for _ in range(2):
        with pytest.raises(nyala.CorruptError):
            nyala.Store(path)
    path.unlink()
    with pytest.raises(nyala.InvalidArgumentError):
        nyala.Store(path, max_bytes=1)
    nyala.Store(path).close()


# Paths.


def test_paths_of_all_kinds(tmp_path, monkeypatch):
    class Like:
        def __init__(self, answer):
            self.answer = answer

        def __fspath__(self):
            return self.answer

    name = os.fspath(tmp_path / "store")
    with nyala.Store(path=name) as store:
        store["k"] = b"v"
    monkeypatch.chdir(tmp_path)
    for given in (name, os.fsencode(name), tmp_path / "store", Like(name), Like(os.fsencode(name)), "store", b"./store", pathlib.Path("store")):
        with nyala.Store(given) as store:
            assert store["k"] == b"v"
            assert store.path == name
            assert repr(store).startswith(f'<nyala.Store in "{name}" of 1 entries')
        assert store.path == name and repr(store) == "<nyala.Store, closed>"
    with nyala.Store(max_bytes=MIB) as store:
        assert store.path is None and repr(store).startswith("<nyala.Store of 0 entries")


def test_bytes_that_are_no_text(tmp_path):
    name = os.path.join(os.fsencode(tmp_path), b"\xff\x01 \xe2\x82")
    with nyala.Store(name) as store:
        store["k"] = b"v"
        assert store.path == os.fsdecode(name) and "xff" in repr(store).lower()
        with pytest.raises(nyala.LockedError):
            nyala.Store(os.fsdecode(name))
    assert os.path.exists(name)
    with nyala.Store(os.fsdecode(name)) as store:
        assert store["k"] == b"v" and store.path == os.fsdecode(name)
        again = pickle.dumps(store)
    with pickle.loads(again) as store:
        assert store["k"] == b"v"


@pytest.mark.parametrize("given", [1, 1.5, bytearray(b"x"), memoryview(b"x"), [], object()], ids=lambda given: type(given).__name__)
def test_paths_of_the_wrong_type(given):
    with pytest.raises(TypeError, match=f"path must be str, bytes or os.PathLike, not '{type(given).__name__}'"):
        nyala.Store(given)


def test_paths_that_answer_nonsense():
    class Like:
        def __fspath__(self):
            return self.answer

    like = Like()
    for like.answer in (1, None, bytearray(b"x")):
        with pytest.raises(TypeError):
            nyala.Store(like)
    with pytest.raises(UnicodeEncodeError):
        nyala.Store("\ud800")


def test_bad_paths(tmp_path):
    for given in ("", b"", "a\0b", b"a\0b"):
        with pytest.raises(nyala.InvalidArgumentError, match="is empty or holds a NUL"):
            nyala.Store(given)
    with pytest.raises(nyala.InvalidArgumentError, match="is a directory") as raised:
        nyala.Store(tmp_path)
    assert str(tmp_path) in str(raised.value)
    with pytest.raises(nyala.InvalidArgumentError, match="/dev/null is not a regular file"):
        nyala.Store("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(nyala.InvalidArgumentError, match="pipe is not a regular file"):
        nyala.Store(tmp_path / "pipe")


def test_failures_of_the_system(tmp_path):
    missing = tmp_path / "missing" / "store"
    with pytest.raises(nyala.IoError) as raised:
        nyala.Store(missing)
    error = raised.value
    assert isinstance(error, OSError) and error.errno == errno.ENOENT and error.filename == os.fspath(missing)
    assert error.strerror == "cannot open: No such file or directory"
    assert str(error) == f"[Errno 2] cannot open: No such file or directory: {os.fspath(missing)!r}"
    again = pickle.loads(pickle.dumps(error))
    assert (again.errno, again.strerror, again.filename) == (error.errno, error.strerror, error.filename)
    (tmp_path / "file").write_bytes(b"")
    for given, number in ((tmp_path / "file" / "store", errno.ENOTDIR), (tmp_path / ("x" * 300), errno.ENAMETOOLONG)):
        with pytest.raises(OSError, match="cannot open") as raised:
            nyala.Store(given)
        assert type(raised.value) is nyala.IoError and raised.value.errno == number


def test_files_of_others(path):
    path.write_bytes(b"")
    path.chmod(0o400)
    path.parent.chmod(0o755)

    def work():
        os.chdir(path.parent)
        if os.geteuid() == 0:
            # Root may open everything.
            os.seteuid(NOBODY)
        with pytest.raises(nyala.IoError) as raised:
            nyala.Store(path.name)
        return raised.value.errno

    assert in_child(work) == errno.EACCES


# Files that are no store.


def test_what_is_no_store(path):
    for content, text in ((b"\x07" * 20_000, "corrupt at byte 0"), (b"hello", "shorter")):
        path.write_bytes(content)
        with pytest.raises(nyala.CorruptError, match=text) as raised:
            nyala.Store(path)
        assert str(path) in str(raised.value)
        assert path.read_bytes() == content


def test_another_version(path):
    with nyala.Store(path) as store:
        store["k"] = b"v"
    content = bytearray(path.read_bytes())
    for copy_at in (0, 4096):
        if content[copy_at + 8] == 1:
            content[copy_at + 8] = 2
    path.write_bytes(content)
    with pytest.raises((nyala.VersionError, nyala.CorruptError)):
        nyala.Store(path)


def test_a_damaged_file(path):
    with nyala.Store(path, max_bytes=4 * MIB) as store:
        store.update({b"%d" % i: bytes([i % 251]) * 1_000 for i in range(1_000)})
        expected = dict(store)
    content = path.read_bytes()
    damaged = bytearray(content)
    middle = len(content) // 2
    damaged[middle : middle + 4096] = b"\x55" * 4096
    path.write_bytes(damaged)
    try:
        with nyala.Store(path) as store:
            assert all(expected[key] == value for key, value in store.items())
    except nyala.CorruptError as error:
        assert "corrupt at byte" in str(error)
    path.write_bytes(content)
    with nyala.Store(path) as store:
        assert dict(store) == expected


# Limits.


@pytest.mark.parametrize("max_bytes", [0, MIB, 4 * MIB - 1, 2**42 + 1, -1, 2**64, 10**5_000], ids=lambda number: f"{number:#x}"[:12])
def test_max_bytes(path, max_bytes):
    with pytest.raises(nyala.InvalidArgumentError, match=r"^max_bytes = .* lies outside 4194304 to 4398046511104 bytes$"):
        nyala.Store(path, max_bytes=max_bytes)
    assert not path.exists()


def test_max_bytes_of_the_wrong_type(path):
    with pytest.raises(TypeError, match="max_bytes must be an int, not 'str'"):
        nyala.Store(path, max_bytes="1")
    assert nyala.MIN_FILE_BYTES == 4 * MIB
    nyala.Store(path, max_bytes=None).close()


@pytest.mark.parametrize(("max_bytes", "limit"), [(4 * MIB, MIB), (16 * MIB, 4 * MIB), (64 * MIB, 16 * MIB)])
def test_longest_values(path, max_bytes, limit):
    with nyala.Store(path, max_bytes=max_bytes) as store:
        store["k"] = bytes(limit)
        with pytest.raises(nyala.TooLargeError, match=f"value of {limit + 1} bytes is too large: the limit is {limit} bytes"):
            store["k"] = bytes(limit + 1)
        store[b"k" * 65_535] = b"v"
        assert len(store["k"]) == limit


def test_full(path):
    with nyala.Store(path, max_bytes=4 * MIB) as store:
        with pytest.raises(nyala.FullError, match=r"\d+ live bytes of max_bytes = 4194304 bytes"):
            for i in range(10_000):
                store[b"%d" % i] = bytes(1_000)
        stored = len(store)
        assert stored > 1_000 and store.delete("0")
        for i in range(1, stored, 2):
            del store[b"%d" % i]
    with nyala.Store(path, max_bytes=4 * MIB) as store:
        assert sorted(map(int, store)) == list(range(2, stored, 2))
        with pytest.raises(nyala.InvalidArgumentError, match="max_bytes = 8388608 bytes lies outside 4194304 to 4194304"):
            store.set_max_bytes(8 * MIB)


# Durability.


@pytest.mark.parametrize("level", LEVELS)
def test_sync(path, level):
    with nyala.Store(path, **level) as store:
        assert store.sync() is None
        store["k"] = b"v"
        assert store.sync() is None
    with pytest.raises(nyala.ClosedError):
        store.sync()
    with nyala.Store(max_bytes=MIB) as store:
        assert store.sync() is None


def test_threads_share_syncs(path):
    with nyala.Store(path, durability="sync") as store:

        def work(name):
            for i in range(50):
                store[b"%d %d" % (name, i)] = b"v"
                assert store.increment("all") > 0

        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with nyala.Store(path) as store:
        assert len(store) == 401 and store["all"] == b"400"


def test_changes_let_others_run(path):
    """While one thread waits for the disk, another one goes on, though nobody is made to give way."""
    steps, stop = 0, threading.Event()

    def count():
        nonlocal steps
        while not stop.is_set():
            steps += 1
            # Lets go of the interpreter, which the other thread takes when the disk is done.
            time.sleep(0)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1_000)
    thread = threading.Thread(target=count)
    try:
        with nyala.Store(path, durability="sync") as store:
            thread.start()
            seen = []
            for work in (lambda: store.set("k", b"v"), lambda: store.delete("k"), lambda: store.increment("n"), store.sync):
                before_work = steps
                for _ in range(50):
                    work()
                seen.append(steps - before_work)
            stop.set()
    finally:
        stop.set()
        sys.setswitchinterval(before)
        thread.join()
    assert min(seen) > 0, seen


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"durability": "fast"}, r"durability = \"fast\": expected 'process', 'interval' or 'sync'"),
        ({"durability": ""}, "durability = \"\": expected"),
        ({"durability": "interval"}, "durability = 'interval' needs sync_interval, .* at least 0.001 s"),
        ({"sync_interval": 1.0}, "sync_interval = 1.0 s with durability = 'process': only 'interval' takes one"),
        ({"durability": "sync", "sync_interval": 1}, "sync_interval = 1.0 s with durability = 'sync': only 'interval' takes one"),
        *[
            ({"durability": "interval", "sync_interval": number}, f"sync_interval = {shown} s is out of range: it must be 0.001 s to about 2e19 s")
            for number, shown in [(0, "0.0"), (-1, "-1.0"), (0.0009, "0.0009"), (float("nan"), "NaN"), (float("inf"), "inf"), (1e300, "1e300")]
        ],
        ({"durability": "interval", "sync_interval": 10**400}, "sync_interval = an integer of 1329 bits is out of range"),
    ],
    ids=str,
)
def test_durabilities_out_of_range(path, options, text):
    with pytest.raises(nyala.InvalidArgumentError, match=text):
        nyala.Store(path, **options)
    assert not path.exists()


@pytest.mark.parametrize("options", [{"durability": 1}, {"durability": b"sync"}, {"durability": None}, {"sync_interval": "1"}])
def test_durabilities_of_the_wrong_type(path, options):
    with pytest.raises(TypeError, match="must be"):
        nyala.Store(path, **options)


def test_a_store_in_memory_has_no_durability():
    with pytest.raises(nyala.InvalidArgumentError, match="durability = 'sync' without a path"):
        nyala.Store(max_bytes=MIB, durability="sync")
    with pytest.raises(nyala.InvalidArgumentError, match="durability = 'interval' without a path"):
        nyala.Store(max_bytes=MIB, durability="interval", sync_interval=1)
    nyala.Store(max_bytes=MIB, durability="process").close()
    nyala.Store(None, max_bytes=MIB).close()


# Pickling.


def hear(*entry):
    pass


class Subclass(nyala.Store):
    def greet(self):
        return self["greeting"]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", [nyala.Store, Subclass])
def test_pickling_opens_the_same_file(path, protocol, cls, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    options = {"max_bytes": 8 * MIB, "durability": "interval", "sync_interval": 0.25, "count_reads": True, "on_removal": hear}
    with cls("store.nyala", **options) as store:
        store["greeting"] = b"hello"
        pickled = pickle.dumps(store, protocol)
        with pytest.raises(nyala.LockedError):
            pickle.loads(pickled)
    assert pickle.dumps(store, protocol) == pickled
    monkeypatch.chdir("/")
    with pickle.loads(pickled) as again:
        assert type(again) is cls and again.path == os.fspath(path) and again["greeting"] == b"hello"
        assert again.max_bytes == 8 * MIB and again.stats().hits == 1
        assert again.__getnewargs_ex__() == ((os.fspath(path),), options)
        if cls is Subclass:
            assert again.greet() == b"hello"


def test_what_is_pickled_is_small(path):
    with nyala.Store(path) as store:
        assert store.__getnewargs_ex__() == ((os.fspath(path),), {})
    with nyala.Store(path, durability="sync", eviction="adaptive", max_bytes=4 * MIB) as store:
        assert store.__getnewargs_ex__()[1] == {"durability": "sync", "eviction": "adaptive", "max_bytes": 4 * MIB}
    with nyala.Store(path, on_removal=lambda *entry: None) as store, pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(store)


def test_copies_would_be_a_second_store(path):
    with nyala.Store(path) as store:
        for operation in (copy.copy, copy.deepcopy):
            with pytest.raises(nyala.LockedError):
                operation(store)


def test_another_process_opens_it(path):
    with nyala.Store(path) as store:
        store["k"] = b"v"
        pickled = pickle.dumps(store)
        work = "import pickle, sys\ntry: store = pickle.loads(sys.stdin.buffer.read())\nexcept Exception as e: print(type(e).__name__, str(%d) in str(e) or 'another' in str(e))\nelse: print(store['k'])" % os.getpid()
        run = lambda: subprocess.run([sys.executable, "-c", work], input=pickled, check=True, capture_output=True).stdout  # noqa: E731
        assert run() == b"LockedError True\n"
    assert run() == b"b'v'\n"


# Fork.


@pytest.mark.parametrize("level", LEVELS)
def test_children_do_not_touch_the_file(path, tmp_path, level):
    store = nyala.Store(path, **level)
    store["k"] = b"v"

    def work():
        refused = {name: outcome(operation, store) for name, operation in OPERATIONS.items()}
        assert refused == dict.fromkeys(OPERATIONS, "ForkedError")
        locked = outcome(nyala.Store, path)
        store.close()
        with nyala.Store(tmp_path / "own") as own:
            own["k"] = b"child"
        return locked, outcome(nyala.Store, path), store.path

    assert in_child(work) == ("LockedError", "LockedError", os.fspath(path))
    assert store["k"] == b"v"
    store["k"] = b"w"
    store.sync()
    store.close()
    with nyala.Store(path, **level) as store:
        assert store["k"] == b"w"
    with nyala.Store(tmp_path / "own") as own:
        assert own["k"] == b"child"


def test_a_child_that_lives_on_does_not_hold_the_lock(path):
    store = nyala.Store(path)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    store.close()
    with nyala.Store(path) as store:
        store["k"] = b"v"
    os.close(writer)
    assert os.waitpid(child, 0)[1] == 0


def test_errors_of_the_system_are_still_those_of_python():
    assert issubclass(nyala.IoError, builtins.OSError) and not issubclass(nyala.LockedError, OSError)
