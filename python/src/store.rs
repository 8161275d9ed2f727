//! The class `Store`, and its operations on entries: each method takes its arguments apart, enters the store, does one
//! operation of the core and makes objects of the answer. `life`, `mapping`, `numbers` and `files` have its other methods.

use nyala::{SetOptions, TimeToLive};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyType};

use crate::args::{self, Bytes, Given};
use crate::batch;
use crate::clock::InjectedClock;
use crate::errors::{ClosedError, InvalidArgumentError, OrRaise};
use crate::handle::{Handle, Inside};
use crate::life::FileOptions;
use crate::open::Open;
use crate::pin::Pin;
use crate::read::{self, new_bytes};
use crate::removal::Listener;
use crate::scan::{Gives, Scan};

/// A key-value store or cache, in memory or in a file: a mutable mapping from bytes to bytes under a hard cap.
///
/// Without a `path` the store is in memory, and `max_bytes` caps everything: keys, values, index and slack, in bytes.
/// With one (str, bytes or os.PathLike) it is kept in that file, which is made if it is not there, and its entries are
/// there when it is opened again; `max_bytes` caps the file, 256 GiB by default. One store has a file open at a time
/// (LockedError), but with `read_only` any number of stores share it: they read what it holds when they are opened, however
/// large it is, and changes raise ReadOnlyError. What is written survives, by `durability`: 'process': the death of the process, but not always a
/// power cut, after which the store opens with old state or empty, never with a wrong value. 'interval': also a power
/// cut, which loses at most `sync_interval` seconds plus one sync; starts a thread. 'sync': every change waits until a
/// power cut could not take it.
///
/// `eviction` is the choice between a store and a cache. None: nothing is lost; when the store is full, writes raise
/// FullError and change nothing. 'adaptive': what is read least makes room for what is new. `on_removal` is called as
/// ``on_removal(key, value, cause)`` for each entry that is gone because it was 'evicted', 'expired' or 'removed', but
/// not for one that is overwritten or cleared. Any thread that uses the store calls it, in the midst of an operation,
/// which goes on if it raises (sys.unraisablehook is told); it may use the store. `count_reads`: whether stats() counts
/// hits and misses and hottest() answers; by default in a cache. `clock` is for tests: a callable that answers seconds
/// since the epoch, asked once for each operation; time never goes back, whatever it answers. `progress` is called while a
/// file is opened, in this thread, as ``progress(done, total)`` in bytes, before that begins and every 50 milliseconds; what
/// it raises, and Ctrl-C, ends it.
///
/// Keys are bytes-like objects of 1 to 65,535 bytes, or str, which stands for its UTF-8. Values are bytes-like objects
/// and come back as bytes. Durations and moments are seconds, as float. A miss is None, or KeyError from ``[]``.
///
/// Every operation on one key is atomic, and safe under threads; there is no order between keys. After ``os.fork`` the
/// child cannot use the store (ForkedError); open another one. A store in memory cannot be pickled (TypeError): it is
/// this process's memory. One in a file can: whoever unpickles it opens the file, which must be closed by then.
///
/// >>> import nyala
/// >>> with nyala.Store(max_bytes=64 << 20) as store:
/// ...     store["greeting"] = b"hello"
/// ...     store["greeting"], store.get("farewell"), len(store)
/// (b'hello', None, 1)
/// >>> with nyala.Store(max_bytes=1 << 20, eviction="adaptive") as cache:
/// ...     for n in range(100_000):
/// ...         cache[str(n)] = bytes(100)
/// ...     len(cache) < 10_000, cache.used_bytes <= 1 << 20
/// (True, True)
#[pyclass(frozen, mapping, subclass, weakref, module = "nyala")]
pub(crate) struct Store {
    pub(crate) open: Handle<Open>,
    /// How to open it again, if it is kept in a file.
    pub(crate) file: Option<FileOptions>,
    pub(crate) listener: Option<Listener>,
    pub(crate) clock: Option<InjectedClock>,
}

impl Store {
    /// Enters the store for one operation, at the time that an injected clock answers.
    #[inline]
    pub(crate) fn enter(&self, py: Python<'_>) -> PyResult<Inside<'_, Open>> {
        if let Some(clock) = &self.clock {
            clock.ask(py)?;
        }
        self.open.enter().ok_or_else(closed)
    }

    /// The value of a key.
    pub(crate) fn lookup<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let key = args::key(key)?;
        let value = read::value(py, &*self.enter(py)?, key.as_ref())?;
        Ok(value.map(|(value, _)| value))
    }

    pub(crate) fn scanning(
        slf: &Bound<'_, Self>,
        prefix: &[u8],
        position: u64,
        gives: Gives,
    ) -> PyResult<Scan> {
        let inside = slf.get().enter(slf.py())?;
        let cursor =
            if position == 0 { inside.scan(prefix) } else { inside.scan_from(prefix, position) };
        Ok(Scan::new(slf.clone().unbind(), &inside, cursor.or_raise()?, gives))
    }
}

#[cold]
fn closed() -> PyErr {
    ClosedError::new_err("store is closed")
}

fn optional_bytes(py: Python<'_>, value: Option<Vec<u8>>) -> PyResult<Option<Bound<'_, PyBytes>>> {
    value.map(|value| new_bytes(py, &value)).transpose()
}

/// Seconds left, infinity for an entry that stays.
fn seconds_left(ttl: TimeToLive) -> f64 {
    match ttl {
        TimeToLive::Forever => f64::INFINITY,
        // One rounding: `as_secs_f64` adds a rounded fraction to the seconds, and 9.976 s would be 9.975999999999999.
        #[expect(clippy::cast_precision_loss, reason = "the nearest float is what is meant")]
        TimeToLive::Remaining(left) => left.as_millis() as f64 / 1000.0,
    }
}

/// A class of the Python half.
pub(crate) fn class<'py>(
    cell: &'static PyOnceLock<Py<PyType>>,
    py: Python<'py>,
    module: &str,
    name: &str,
) -> PyResult<&'py Bound<'py, PyType>> {
    cell.import(py, module, name)
}

#[pymethods]
impl Store {
    /// The value of a key, or `default`.
    #[pyo3(signature = (key, default=None, /))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        default: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(match self.lookup(py, key)? {
            Some(value) => Some(value.into_any()),
            None => default.cloned(),
        })
    }

    /// The values of several keys in the order of the keys, None for each miss.
    ///
    /// Much faster than one get after another. Not atomic: each key is read at its own moment.
    ///
    /// >>> import nyala
    /// >>> store = nyala.Store(max_bytes=64 << 20)
    /// >>> store.update(a=b"1", b=b"2")
    /// >>> store.get_many(["b", "missing", b"a"])
    /// [b'2', None, b'1']
    #[pyo3(signature = (keys, /))]
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let keys = batch::keys(keys)?;
        let keys = batch::key_bytes(&keys)?;
        let values = batch::get(py, &*self.enter(py)?, &keys)?;
        PyList::new(py, values)
    }

    /// The value and the version of a key, or None.
    ///
    /// A version is an int that identifies one write of one value. It is unique in the store for ever, and a change of
    /// the lifetime keeps it. With set(if_version=...) and delete_if it makes a read-change-write that nobody can come
    /// between:
    ///
    /// >>> import nyala
    /// >>> store = nyala.Store(max_bytes=64 << 20)
    /// >>> store["k"] = b"a"
    /// >>> value, version = store.get_versioned("k")
    /// >>> store.set("k", value + b"b", if_version=version)
    /// True
    /// >>> store.set("k", value + b"c", if_version=version)
    /// False
    #[pyo3(signature = (key, /))]
    fn get_versioned<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(Bound<'py, PyBytes>, u64)>> {
        let key = args::key(key)?;
        let value = read::value(py, &*self.enter(py)?, key.as_ref())?;
        Ok(value.map(|(value, version)| (value, version.get())))
    }

    /// The value of a key, held in place and not copied: an object with the buffer protocol and a version; or None.
    ///
    /// Worth it for values of several thousand bytes. BusyError if too much is pinned.
    #[pyo3(signature = (key, /))]
    fn pin(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Option<Pin>> {
        let key = args::key(key)?;
        Ok(self.enter(py)?.pin(&key).or_raise()?.map(Pin::new))
    }

    /// Stores a value, and answers whether it did: False if a condition did not hold.
    ///
    /// `ttl` is the time to live in seconds, rounded up to milliseconds; without one the entry stays, and loses a
    /// lifetime that it had, unless `keep_ttl`. `if_absent`: only if the key has no value. `if_version`: only if its
    /// value is still of that version. TooLargeError and FullError: nothing was changed.
    ///
    /// >>> import nyala
    /// >>> store = nyala.Store(max_bytes=64 << 20)
    /// >>> store.set("k", b"1", ttl=60.0)
    /// True
    /// >>> store.set("k", b"2", if_absent=True)
    /// False
    #[pyo3(signature = (key, value, /, ttl=None, if_absent=false, if_version=None, keep_ttl=false))]
    #[expect(clippy::too_many_arguments, reason = "the signature that Python sees")]
    fn set(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        if_absent: bool,
        if_version: Option<&Bound<'_, PyAny>>,
        keep_ttl: bool,
    ) -> PyResult<bool> {
        let key = args::key(key)?;
        let value = args::value(value)?;
        let mut options = SetOptions::new();
        if let Some(ttl) = ttl {
            options = options.ttl(args::lifetime(ttl, "ttl")?);
        }
        if keep_ttl {
            options = options.keep_ttl();
        }
        if if_absent {
            options = options.if_absent();
        }
        if let Some(version) = if_version {
            let version = args::version(version, "if_version")?;
            if if_absent {
                return Err(InvalidArgumentError::new_err(format!(
                    "if_absent = True and if_version = {version} exclude each other"
                )));
            }
            options = options.if_version(version);
        }
        let inside = self.enter(py)?;
        let outcome = inside
            .change(py, value.len(), |store| store.set_with(&key, &value, options))
            .or_raise()?;
        Ok(outcome.stored)
    }

    /// Stores a value and answers the one that was there, or None.
    #[pyo3(signature = (key, value, /))]
    fn swap<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let key = args::key(key)?;
        let value = args::value(value)?;
        let inside = self.enter(py)?;
        let len = value.len().max(inside.len_of(key.as_ref()).or_raise()?);
        let previous = inside.change(py, len, |store| store.swap(&key, &value)).or_raise()?;
        optional_bytes(py, previous)
    }

    /// Removes a key and answers its value, or None.
    #[pyo3(signature = (key, /))]
    pub(crate) fn take<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let key = args::key(key)?;
        let inside = self.enter(py)?;
        optional_bytes(py, inside.take(py, key.as_ref()).or_raise()?)
    }

    /// Removes a key and answers whether it was there.
    #[pyo3(signature = (key, /))]
    pub(crate) fn delete(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let key = args::key(key)?;
        self.enter(py)?.change(py, 0, |store| store.delete(&key)).or_raise()
    }

    /// Removes a key if its value is still of this version, and answers whether it did.
    #[pyo3(signature = (key, version, /))]
    fn delete_if(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        version: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let key = args::key(key)?;
        let version = args::version(version, "version")?;
        self.enter(py)?.change(py, 0, |store| store.delete_if(&key, version)).or_raise()
    }

    /// Adds bytes at the end of a value, or creates it, and answers its new length. The lifetime is kept.
    #[pyo3(signature = (key, tail, /))]
    fn append(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        tail: &Bound<'_, PyAny>,
    ) -> PyResult<usize> {
        let key = args::key(key)?;
        let tail = args::value(tail)?;
        let inside = self.enter(py)?;
        inside.change(py, tail.len(), |store| store.append(&key, &tail)).or_raise()
    }

    /// Adds to the number that a value is, or creates it with `delta`, and answers the sum.
    ///
    /// The value is decimal text of a signed 64-bit integer, and is read and set like any other. The lifetime is kept;
    /// `ttl_on_create` (seconds) is that of a number that is created. NotANumberError and OverflowError: nothing was
    /// changed.
    ///
    /// >>> import nyala
    /// >>> store = nyala.Store(max_bytes=64 << 20)
    /// >>> store.increment("hits"), store.increment("hits", 41), store["hits"]
    /// (1, 42, b'42')
    #[pyo3(signature = (key, /, delta=Given::NOTHING, ttl_on_create=None), text_signature = "($self, key, /, delta=1, ttl_on_create=None)")]
    fn increment(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        delta: Given<'_>,
        ttl_on_create: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<i64> {
        let key = args::key(key)?;
        let delta = delta.0.as_ref().map_or(Ok(1), args::delta)?;
        let ttl = ttl_on_create.map(|ttl| args::lifetime(ttl, "ttl_on_create")).transpose()?;
        self.enter(py)?.change(py, 0, |store| store.increment(&key, delta, ttl)).or_raise()
    }

    /// Whether a key is there; the same as ``key in store``.
    #[pyo3(signature = (key, /))]
    pub(crate) fn contains(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let key = args::key(key)?;
        self.enter(py)?.contains(&key).or_raise()
    }

    /// Version, length in bytes and seconds to live of an entry (EntryInfo), or None.
    #[pyo3(signature = (key, /))]
    fn info<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let key = args::key(key)?;
        let info = self.enter(py)?.entry_info(&key).or_raise()?;
        info.map(|info| {
            let fields = (info.version.get(), info.value_len, seconds_left(info.ttl));
            class(&CLASS, py, "nyala._types", "EntryInfo")?.call1(fields)
        })
        .transpose()
    }

    /// Gives an entry this many seconds to live from now, rounded up to milliseconds; answers whether it did.
    ///
    /// `only_if` is a condition: 'none' (it has no lifetime), 'any' (it has one), 'later' or 'sooner' (the new one ends
    /// later or sooner; no lifetime is the latest). The version stays.
    #[pyo3(signature = (key, ttl, /, only_if=None))]
    fn expire(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        ttl: &Bound<'_, PyAny>,
        only_if: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let key = args::key(key)?;
        let ttl = args::lifetime(ttl, "ttl")?;
        let condition = args::only_if(only_if)?;
        self.enter(py)?.change(py, 0, |store| store.expire_with(&key, ttl, condition)).or_raise()
    }

    /// Lets an entry live until a moment, in seconds since the epoch as ``time.time()`` counts them; answers whether it
    /// did. A moment that has passed removes the entry. `only_if` as for expire.
    #[pyo3(signature = (key, at, /, only_if=None))]
    fn expire_at(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        at: &Bound<'_, PyAny>,
        only_if: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let key = args::key(key)?;
        let at = args::moment(at, "at")?;
        let condition = args::only_if(only_if)?;
        self.enter(py)?.change(py, 0, |store| store.expire_at(&key, at, condition)).or_raise()
    }

    /// Lets an entry stay; answers whether it had a lifetime.
    #[pyo3(signature = (key, /))]
    fn persist(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let key = args::key(key)?;
        self.enter(py)?.change(py, 0, |store| store.persist(&key)).or_raise()
    }

    /// Seconds that an entry has to live, infinity if it stays, or None for a miss.
    ///
    /// >>> import nyala
    /// >>> now = 1000.0
    /// >>> store = nyala.Store(max_bytes=64 << 20, clock=lambda: now)
    /// >>> store.set("k", b"v", ttl=30.0), store.ttl("k")
    /// (True, 30.0)
    /// >>> now += 29.5
    /// >>> store.ttl("k"), store.persist("k"), store.ttl("k"), store.ttl("missing")
    /// (0.5, True, inf, None)
    #[pyo3(signature = (key, /))]
    fn ttl(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
        let key = args::key(key)?;
        Ok(self.enter(py)?.ttl(&key).or_raise()?.map(seconds_left))
    }

    /// Stores the items of a mapping or of an iterable of pairs, and answers how many.
    ///
    /// Equal keys apply in order. Unless `atomic`, every item is tried. If some fail, the first one's error is raised, and
    /// its attribute `failed` says which failed and why: a dict from place in the batch to error. Items are taken in
    /// steps of 1,024: if taking one raises, or it has the wrong type, earlier steps stay stored, as they do after
    /// Ctrl-C.
    ///
    /// >>> import nyala
    /// >>> store = nyala.Store(max_bytes=64 << 20)
    /// >>> store.set_many({"a": b"1", "b": b"2"}), store.set_many([("c", b"3")])
    /// (2, 1)
    /// >>> try:
    /// ...     store.set_many([("ok", b"1"), ("", b"2")])
    /// ... except nyala.Error as error:
    /// ...     list(error.failed), store["ok"]
    /// ([1], b'1')
    ///
    /// With `atomic` all items are stored or, if an error is raised, none; in a file all of them are found or none when it is
    /// opened, also where the process died meanwhile, and at the levels of durability that reach so far where the power
    /// went; and no other write of their keys comes between. Of equal keys nobody sees any but the last. Readers do not see them at once: a get, scan or backup that
    /// runs meanwhile may see some values new and others still old, but only of calls that have not returned yet. A
    /// cache may evict some of them later, and `salvage` may find a part. All items are taken before the first is
    /// stored. Together they may count up to a segment (``stats().segment_bytes``) less 192 bytes, each its key and
    /// value, rounded up to 8 bytes, and 64 bytes more, and in a file no value may be longer than half a segment, else TooLargeError is raised; there must be room for all at
    /// once, also where they replace others, else FullError is.
    ///
    /// >>> try:
    /// ...     store.set_many([("ok", b"3"), ("", b"4")], atomic=True)
    /// ... except nyala.Error as error:
    /// ...     store["ok"]
    /// b'1'
    #[pyo3(signature = (items, /, *, atomic=false))]
    fn set_many(&self, items: &Bound<'_, PyAny>, atomic: bool) -> PyResult<usize> {
        if atomic { batch::set_atomic(self, items) } else { batch::set_all(self, items) }
    }

    /// Removes several keys and answers a list that says of each whether it was there. Not atomic.
    #[pyo3(signature = (keys, /))]
    fn delete_many(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<Vec<bool>> {
        let keys = batch::keys(keys)?;
        let keys = batch::key_bytes(&keys)?;
        batch::delete(py, &*self.enter(py)?, &keys)
    }

    /// An iterator over ``(key, value)`` of all keys with a prefix, in no particular order.
    ///
    /// What is there throughout comes once; what comes or goes meanwhile may or may not come. `position` is the
    /// attribute of an earlier scan with the same prefix: this one goes on there.
    ///
    /// >>> import nyala
    /// >>> store = nyala.Store(max_bytes=64 << 20)
    /// >>> store.update({"user:1": b"Ann", "user:2": b"Bo", "group:1": b"all"})
    /// >>> sorted(store.scan("user:"))
    /// [(b'user:1', b'Ann'), (b'user:2', b'Bo')]
    #[pyo3(signature = (prefix=Given::NOTHING, position=Given::NOTHING), text_signature = "($self, prefix=b'', position=0)")]
    fn scan(slf: &Bound<'_, Self>, prefix: Given<'_>, position: Given<'_>) -> PyResult<Scan> {
        let prefix = prefix.0.as_ref().map_or(Ok(Bytes::Borrowed(b"")), args::prefix)?;
        let position = position.0.as_ref().map_or(Ok(0), args::position)?;
        Self::scanning(slf, prefix.as_ref(), position, Gives::Items)
    }

    /// Removes everything.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        let inside = self.enter(py)?;
        py.detach(|| inside.clear()).or_raise()
    }
}
