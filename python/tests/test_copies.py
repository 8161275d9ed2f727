"""Files that are only read, checked, copied and saved, who is told how far that has come, and closing that fails."""

import gc
import os
import pathlib
import pickle
import signal
import threading

import pytest

import nyala
from helpers import MIB
from operations import OPERATIONS

ENTRIES = 1_000
CHANGES = {
    "__delitem__", "__setitem__", "append", "clear", "delete", "delete_if", "delete_many", "expire", "expire_at", "increment", "maintain",
    "persist", "pop", "popitem", "set", "set_max_bytes", "set_many", "set_many atomic", "set_many of many", "swap", "sync", "take",
    "update",
}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    """A file with entries."""
    path = tmp_path / "store.nyala"
    with nyala.Store(path) as store:
        fill(store)
    return path


def fill(store):
    store.update({b"%d" % i: b"v" * (100 + i % 100) for i in range(ENTRIES)})
    store.set("k", b"v", ttl=1_000.0)


def holds_all(store):
    assert len(store) == ENTRIES + 1 and 900 < store.ttl("k") <= 1_000
    return all(store[b"%d" % i] == b"v" * (100 + i % 100) for i in range(ENTRIES))


# Reading only.


def test_readers_share_a_file(path):
    before = path.read_bytes()
    with nyala.Store(path, read_only=True) as store, nyala.Store(path, read_only=True) as other:
        assert holds_all(store) and holds_all(other)
        with pytest.raises(nyala.LockedError, match=str(path)):
            nyala.Store(path)
        assert nyala.verify(path).entries == ENTRIES + 1
        for name, operation in OPERATIONS.items():
            if name in CHANGES:
                with pytest.raises(nyala.ReadOnlyError, match="opened for reading only"):
                    operation(store)
            else:
                operation(store)
        assert holds_all(store)
    assert path.read_bytes() == before
    with nyala.Store(path) as store:
        with pytest.raises(nyala.LockedError):
            nyala.Store(path, read_only=True)
        with pytest.raises(nyala.LockedError):
            nyala.verify(path)
        with pytest.raises(nyala.LockedError):
            nyala.salvage(path, path.with_name("saved"))
    assert os.listdir(path.parent) == [path.name]


def test_a_larger_file_is_read(tmp_path):
    with nyala.Store(tmp_path / "large", max_bytes=64 * MIB) as store:
        store.update({b"%d" % i: bytes(100_000) for i in range(300)})
    with pytest.raises(nyala.InvalidArgumentError, match="max_bytes = 8388608 bytes is too small"):
        nyala.Store(tmp_path / "large", max_bytes=8 * MIB)
    with nyala.Store(tmp_path / "large", max_bytes=8 * MIB, read_only=True) as store:
        assert len(store) == 300 and store.max_bytes > 30 * MIB


def test_there_must_be_a_file(tmp_path):
    with pytest.raises(nyala.InvalidArgumentError, match="read_only asks for a file"):
        nyala.Store(max_bytes=MIB, read_only=True)
    with pytest.raises(nyala.IoError) as raised:
        nyala.Store(tmp_path / "missing", read_only=True)
    assert isinstance(raised.value, FileNotFoundError | OSError) and raised.value.filename == str(tmp_path / "missing")
    assert os.listdir(tmp_path) == []
    with pytest.raises(TypeError):
        nyala.Store(tmp_path / "missing", read_only="yes")


def test_pickled_readers_are_readers(path):
    with nyala.Store(path, read_only=True, max_bytes=64 * MIB) as store:
        with pickle.loads(pickle.dumps(store)) as copy:
            assert holds_all(copy) and copy.path == store.path
            with pytest.raises(nyala.ReadOnlyError):
                copy["k"] = b"v"


# Copies.


def test_a_backup_is_a_store(tmp_path):
    copy = tmp_path / "copy"
    with nyala.Store(tmp_path / "store", max_bytes=4 * MIB) as store:
        fill(store)
        report = store.backup(copy)
        assert report == nyala.verify(copy) and report.entries == ENTRIES + 1
        assert isinstance(report, nyala.FileReport) and repr(report).startswith("FileReport(entries=")
        assert report.live_bytes > 100 * ENTRIES and report.file_bytes == copy.stat().st_size
        segment = store.stats().segment_bytes
        with pytest.raises(nyala.IoError, match="File exists") as raised:
            store.backup(copy)
        assert isinstance(raised.value, OSError) and raised.value.filename == str(copy)
    with nyala.Store(copy, max_bytes=4 * MIB) as store:
        assert holds_all(store) and store.stats().segment_bytes == segment
    with nyala.Store(max_bytes=MIB) as store:
        fill(store)
        assert store.backup(os.fsencode(tmp_path / "memory")).entries == ENTRIES + 1
    assert sorted(os.listdir(tmp_path)) == ["copy", "memory", "store"]


def test_a_backup_while_others_write(path):
    stop = threading.Event()
    with nyala.Store(path) as store:

        def write():
            number = 0
            while not stop.is_set():
                number += 1
                store[b"more %d" % (number % 1_000)] = b"w"

        writer = threading.Thread(target=write)
        writer.start()
        try:
            report = store.backup(path.with_name("copy"))
        finally:
            stop.set()
            writer.join()
    assert report.entries >= ENTRIES + 1
    with nyala.Store(path.with_name("copy"), read_only=True) as copy:
        assert all(copy[b"%d" % i] == b"v" * (100 + i % 100) for i in range(ENTRIES))


def test_damage_is_found_and_the_rest_is_saved(path):
    content = bytearray(path.read_bytes())
    content[content.index(b"v" * 100) + 50] ^= 1
    path.write_bytes(content)
    with pytest.raises(nyala.CorruptError, match="corrupt at byte") as raised:
        nyala.verify(path)
    assert str(path) in str(raised.value)
    # One that was closed is opened without a look at its records.
    with nyala.Store(path, read_only=True) as store, pytest.raises(nyala.CorruptError):
        dict(store)
    saved = path.with_name("saved")
    assert nyala.salvage(path, saved).entries == ENTRIES
    assert path.read_bytes() == content
    with nyala.Store(saved) as store:
        assert len(store) == ENTRIES
    path.write_bytes(bytes(20_000))
    with pytest.raises(nyala.CorruptError):
        nyala.salvage(path, path.with_name("other"))
    assert sorted(os.listdir(path.parent)) == ["saved", "store.nyala"]


@pytest.mark.parametrize("given", [None, 7, ["store"]])
def test_paths_of_the_wrong_type(path, given):
    with nyala.Store(max_bytes=MIB) as store:
        with pytest.raises(TypeError, match="path must be str, bytes or os.PathLike"):
            store.backup(given)
    with pytest.raises(TypeError, match="path must be"):
        nyala.verify(given)
    with pytest.raises(TypeError, match="source must be"):
        nyala.salvage(given, path)
    with pytest.raises(TypeError, match="target must be"):
        nyala.salvage(path, given)


def test_paths_that_no_file_has(path):
    with nyala.Store(max_bytes=MIB) as store:
        for bad, error in [
            ("", nyala.InvalidArgumentError),
            ("a\0b", nyala.InvalidArgumentError),
            (path.parent, nyala.IoError),
            (path / "below", nyala.IoError),
            (path.parent / "missing" / "copy", nyala.IoError),
        ]:
            with pytest.raises(error):
                store.backup(bad)
            with pytest.raises((error, nyala.InvalidArgumentError)):
                nyala.verify(bad)
            with pytest.raises(error):
                nyala.salvage(path, bad)
    assert os.listdir(path.parent) == [path.name]


# Progress.


class Stop(Exception):
    pass


def works(path, **named):
    """Everything that tells of its progress, by name."""

    def opening():
        with nyala.Store(path, **named) as store:
            assert holds_all(store)

    def backing_up():
        with nyala.Store(path, read_only=True) as store:
            assert store.backup(path.with_name("copy"), **named).entries == ENTRIES + 1

    def verifying():
        assert nyala.verify(path, **named).entries == ENTRIES + 1

    def salvaging():
        assert nyala.salvage(path, path.with_name("saved"), **named).entries == ENTRIES + 1

    return {"opening": opening, "backing_up": backing_up, "verifying": verifying, "salvaging": salvaging}


@pytest.mark.parametrize("work", ["opening", "backing_up", "verifying", "salvaging"])
def test_progress_is_told_and_ends_it(path, work):
    thread = threading.get_ident()

    def stop(done, total):
        assert done <= total and threading.get_ident() == thread
        raise Stop

    with pytest.raises(Stop):
        works(path, progress=stop)[work]()
    assert os.listdir(path.parent) == [path.name]
    with pytest.raises(TypeError, match="progress must be callable, not 'int'"):
        works(path, progress=7)[work]()
    told = []
    works(path, progress=lambda *progress: told.append(progress))[work]()
    assert told[0] == (0, 0) and all(done <= total for done, total in told)


def test_progress_may_use_the_module(path):
    with nyala.Store(path) as store:
        seen = []
        store.backup(path.with_name("copy"), progress=lambda done, total: seen.append((store["k"], gc.collect())))
        assert seen[0][0] == b"v"


def test_a_signal_ends_it(tmp_path):
    def handler(*_):
        raise Stop

    with nyala.Store(max_bytes=256 * MIB) as store:
        store.set_many((b"%d" % i, b"v" * 100) for i in range(400_000))
        # Time of the processor, so that a busy machine cannot let it pass before the operation begins.
        before = signal.signal(signal.SIGPROF, handler)
        try:
            signal.setitimer(signal.ITIMER_PROF, 0.01)
            with pytest.raises(Stop):
                store.backup(tmp_path / "copy")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
    assert os.listdir(tmp_path) == []


def test_a_thread_verifies_while_others_run(path):
    reports = []
    thread = threading.Thread(target=lambda: reports.append(nyala.verify(path)))
    thread.start()
    thread.join()
    assert reports[0].entries == ENTRIES + 1


# Closing.


def break_file(path):
    """Puts something that cannot be synced in the place of the file that this process has open."""
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            same = os.path.samestat(os.fstat(number), os.stat(path))
        except OSError:
            continue
        if same:
            null = os.open("/dev/null", os.O_RDWR)
            os.dup2(null, number)
            os.close(null)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="finds the open file there")
def test_what_fails_in_closing_is_raised(path):
    store = nyala.Store(path)
    store["new"] = b"v"
    break_file(path)
    with pytest.raises(nyala.IoError):
        store.close()
    assert store.closed and store.close() is None
    with pytest.raises(nyala.IoError), nyala.Store(path) as store:
        store["new"] = b"w"
        break_file(path)
    with nyala.Store(path) as store:
        assert store["new"] == b"w"
    # Nobody asked: as with files.
    store = nyala.Store(path)
    store["new"] = b"x"
    break_file(path)
    del store
    gc.collect()
    with nyala.Store(path) as store:
        assert store["new"] == b"x" and pathlib.Path(store.path) == path
