//! The class `Store`: each method takes its arguments apart, enters the store, does one operation of the core and makes
//! objects of the answer.
//!
//! Long because all methods of a Python class stand in one block, with the documentation that Python users read.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nyala::{Durability, Eviction, Options, SetOptions, TimeToLive};
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple, PyType};

use crate::args::{self, Bytes, Given};
use crate::batch;
use crate::clock::InjectedClock;
use crate::errors::{self, ClosedError, InvalidArgumentError, OrRaise};
use crate::handle::{Handle, Inside};
use crate::open::Open;
use crate::pin::Pin;
use crate::read::{self, new_bytes};
use crate::removal::Listener;
use crate::scan::{Gives, Scan};

/// Longest that `maintain` works without a look for Ctrl-C.
const MAINTAIN_STEP: Duration = Duration::from_millis(50);

/// A key-value store or cache, in memory or in a file: a mutable mapping from bytes to bytes under a hard cap.
///
/// Without a `path` the store is in memory, and `max_bytes` caps everything: keys, values, index and slack, in bytes.
/// With one (str, bytes or os.PathLike) it is kept in that file, which is made if it is not there, and its entries are
/// there when it is opened again; `max_bytes` caps the file, 256 GiB by default. One store has a file open at a time
/// (LockedError). What is written survives, by `durability`: 'process': the death of the process, but not always a
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
/// since the epoch, asked once for each operation; time never goes back, whatever it answers.
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
    open: Handle<Open>,
    /// How to open it again, if it is kept in a file.
    file: Option<FileOptions>,
    listener: Option<Listener>,
    clock: Option<InjectedClock>,
}

/// What a store in a file was opened with.
struct FileOptions {
    /// Absolute.
    path: PathBuf,
    /// `None`: the core's default.
    max_bytes: Option<u64>,
    durability: Durability,
    eviction: Eviction,
    count_reads: Option<bool>,
}

/// The same file from whatever folder one works in.
fn absolute(path: &Path) -> PathBuf {
    // Fails where the path is empty, which opening refuses, or there is no folder, where it fails too.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Drop for Store {
    fn drop(&mut self) {
        // Closing a file waits for the disk. While the interpreter ends, nobody else has work to do: then the handle
        // does it.
        if self.file.is_some() && !self.open.is_closed() {
            let _ = Python::try_attach(|py| py.detach(|| self.open.close()));
        }
    }
}

/// What names the first keys of an order, each with a number.
type Ranking = fn(&nyala::Store, usize) -> nyala::Result<Vec<(Vec<u8>, u64)>>;

impl Store {
    /// Enters the store for one operation, at the time that an injected clock answers.
    #[inline]
    pub(crate) fn enter(&self, py: Python<'_>) -> PyResult<Inside<'_, Open>> {
        if let Some(clock) = &self.clock {
            clock.ask(py)?;
        }
        self.open.enter().ok_or_else(closed)
    }

    fn lookup<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let key = args::key(key)?;
        let value = read::value(py, &*self.enter(py)?, key.as_ref())?;
        Ok(value.map(|(value, _)| value))
    }

    fn scanning(
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

    /// A list of at most `most` keys, each with a number.
    fn rank<'py>(
        &self,
        py: Python<'py>,
        most: &Bound<'py, PyAny>,
        find: Ranking,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, u64)>> {
        let most = args::most(most)?;
        let inside = self.enter(py)?;
        let found = py.detach(|| find(&inside, most)).or_raise()?;
        drop(inside);
        found.into_iter().map(|(key, number)| Ok((new_bytes(py, &key)?, number))).collect()
    }

    fn store_many(&self, items: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = items.py();
        let (count, failed) = batch::set(self, items)?;
        let Some((first, error)) = failed.first() else {
            return Ok(count);
        };
        let raised = errors::exception(error);
        let text = format!(
            "set_many: item {first} failed first; {} of {count} items were stored",
            count - failed.len()
        );
        let outcomes = PyDict::new(py);
        for (index, error) in &failed {
            outcomes.set_item(index, errors::exception(error).into_value(py))?;
        }
        let value = raised.value(py);
        value.setattr("failed", outcomes)?;
        value.call_method1("add_note", (text,))?;
        Err(raised)
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
fn class<'py>(
    cell: &'static PyOnceLock<Py<PyType>>,
    py: Python<'py>,
    module: &str,
    name: &str,
) -> PyResult<&'py Bound<'py, PyType>> {
    cell.import(py, module, name)
}

#[pymethods]
impl Store {
    #[new]
    #[pyo3(
        signature = (path=None, *, max_bytes=None, durability=Given::NOTHING, sync_interval=None, eviction=None, on_removal=None, count_reads=None, clock=None),
        text_signature = "(path=None, *, max_bytes=None, durability='process', sync_interval=None, eviction=None, on_removal=None, count_reads=None, clock=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the signature that Python sees")]
    fn new(
        py: Python<'_>,
        path: Option<&Bound<'_, PyAny>>,
        max_bytes: Option<&Bound<'_, PyAny>>,
        durability: Given<'_>,
        sync_interval: Option<&Bound<'_, PyAny>>,
        eviction: Option<&Bound<'_, PyAny>>,
        on_removal: Option<&Bound<'_, PyAny>>,
        count_reads: Option<bool>,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let path = path.map(args::path).transpose()?;
        let durability = args::durability(durability, sync_interval, path.is_some())?;
        let eviction = args::eviction(eviction)?;
        let max_bytes = match (max_bytes, &path) {
            (Some(given), Some(_)) => Some(args::max_bytes(given, nyala::MIN_FILE_BYTES)?),
            (Some(given), None) => Some(args::max_bytes(given, nyala::MIN_MAX_BYTES)?),
            (None, Some(_)) => None,
            (None, None) => {
                return Err(PyTypeError::new_err(
                    "max_bytes must be an int, not 'NoneType': a store in memory has no default",
                ));
            }
        };
        let mut options = match &path {
            Some(path) => Options::file(path).durability(durability),
            None => Options::memory(0),
        };
        if let Some(max_bytes) = max_bytes {
            options = options.max_bytes(max_bytes);
        }
        options = options.eviction(eviction);
        let listener = on_removal
            .map(|listener| args::callable(listener, "on_removal").map(Listener::new))
            .transpose()?;
        let clock = clock
            .map(|clock| args::callable(clock, "clock").map(InjectedClock::new))
            .transpose()?;
        if let Some(listener) = &listener {
            options = options.on_removal(listener.hear());
        }
        if let Some(count) = count_reads {
            options = options.count_reads(count);
        }
        if let Some(clock) = &clock {
            clock.ask(py)?;
            options = options.clock(clock.source());
        }
        // The folder that a relative path begins in may be another one later.
        let absolute = path.as_ref().map(|path| absolute(path));
        let store = py.detach(|| nyala::Store::open(options)).or_raise()?;
        let file =
            absolute.map(|path| FileOptions { path, max_bytes, durability, eviction, count_reads });
        Ok(Store { open: Handle::new(Open::new(store, file.is_some())), file, listener, clock })
    }

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
        let previous =
            inside.change(py, value.len(), |store| store.swap(&key, &value)).or_raise()?;
        optional_bytes(py, previous)
    }

    /// Removes a key and answers its value, or None.
    #[pyo3(signature = (key, /))]
    fn take<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let key = args::key(key)?;
        let taken = self.enter(py)?.change(py, 0, |store| store.take(&key)).or_raise()?;
        optional_bytes(py, taken)
    }

    /// Removes a key and answers whether it was there.
    #[pyo3(signature = (key, /))]
    fn delete(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
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
    fn contains(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
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
    /// With `atomic` all items are stored or none, also where the process dies meanwhile and, at the levels of durability
    /// that reach so far, where the power goes. No other write comes between; a reader may see some values new and
    /// others still old for a moment. All items are taken before the first is stored. Together they may count up to a
    /// segment (``stats().segment_bytes``) less 192 bytes, each its key and value, rounded up to 8 bytes, and 64 bytes
    /// more, else TooLargeError is raised.
    ///
    /// >>> try:
    /// ...     store.set_many([("ok", b"3"), ("", b"4")], atomic=True)
    /// ... except nyala.Error as error:
    /// ...     store["ok"]
    /// b'1'
    #[pyo3(signature = (items, /, *, atomic=false))]
    fn set_many(&self, items: &Bound<'_, PyAny>, atomic: bool) -> PyResult<usize> {
        if atomic { batch::set_atomic(self, items) } else { self.store_many(items) }
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

    /// Numbers about the store (Stats). Takes microseconds.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let inside = self.enter(py)?;
        inside.check().or_raise()?;
        let stats = inside.stats();
        drop(inside);
        let fields = [
            ("entries", stats.entries),
            ("max_bytes", stats.max_bytes),
            ("used_bytes", stats.used_bytes),
            ("live_bytes", stats.live_bytes),
            ("dead_bytes", stats.dead_bytes),
            ("slack_bytes", stats.slack_bytes),
            ("index_bytes", stats.index_bytes),
            ("segment_bytes", stats.segment_bytes),
            ("segments_leased", stats.segments_leased),
            ("runs", stats.runs),
            ("run_bytes", stats.run_bytes),
            ("segments_free", stats.segments_free),
            ("segments_limbo", stats.segments_limbo),
            ("segments_pinned", stats.segments_pinned),
            ("stripes", stats.stripes),
            ("fewest_in_stripe", stats.fewest_in_stripe),
            ("most_in_stripe", stats.most_in_stripe),
            ("index_pages", stats.index_pages),
            ("entries_relaid", stats.entries_relaid),
            ("records_moved", stats.records_moved),
            ("bytes_moved", stats.bytes_moved),
            ("expired", stats.expired),
            ("hits", stats.hits),
            ("misses", stats.misses),
            ("oldest_ms", stats.oldest_ms),
            ("evicted", stats.evicted),
            ("bytes_evicted", stats.bytes_evicted),
        ];
        let named = PyDict::new(py);
        for (name, number) in fields {
            named.set_item(name, number)?;
        }
        class(&CLASS, py, "nyala._types", "Stats")?.call((), Some(&named))
    }

    /// The keys that were read most of late, each with about how often, most first: at most `most` of them.
    ///
    /// Known by samples of one read in 64, if reads are counted: in a cache, or with ``count_reads=True``. A key that is
    /// read less than one in some sixteen reads may be missing or overestimated.
    ///
    /// >>> import nyala
    /// >>> store = nyala.Store(max_bytes=64 << 20, count_reads=True)
    /// >>> store["k"] = b"v"
    /// >>> for _ in range(10_000):
    /// ...     value = store["k"], store.get("missing")
    /// >>> [key for key, reads in store.hottest(10)], store.stats().hits, store.stats().misses
    /// ([b'k'], 10000, 10000)
    #[pyo3(signature = (most, /))]
    fn hottest<'py>(
        &self,
        py: Python<'py>,
        most: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, u64)>> {
        self.rank(py, most, nyala::Store::hottest)
    }

    /// The keys with the longest values, each with its length in bytes, longest first: at most `most` of them.
    ///
    /// Looks at every entry, some 50 ns each, with the interpreter released.
    ///
    /// >>> import nyala
    /// >>> store = nyala.Store(max_bytes=1 << 20)
    /// >>> store.update({"short": b"1", "long": b"12345"})
    /// >>> store.largest(1)
    /// [(b'long', 5)]
    #[pyo3(signature = (most, /))]
    fn largest<'py>(
        &self,
        py: Python<'py>,
        most: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, u64)>> {
        self.rank(py, most, nyala::Store::largest)
    }

    /// Reclaims the memory of dead entries for at most `budget` seconds, and answers how many bytes more there are to
    /// reclaim. Never needed: writes do as much as they need themselves.
    #[pyo3(signature = (budget=Given::NOTHING), text_signature = "($self, budget=0.001)")]
    fn maintain(&self, py: Python<'_>, budget: Given<'_>) -> PyResult<u64> {
        let budget = budget
            .0
            .as_ref()
            .map_or(Ok(Duration::from_millis(1)), |budget| args::budget(budget, "budget"))?;
        let began = Instant::now();
        loop {
            let inside = self.enter(py)?;
            let step = budget.saturating_sub(began.elapsed()).min(MAINTAIN_STEP);
            let left = py.detach(|| inside.maintain(step)).or_raise()?.bytes;
            drop(inside);
            py.check_signals()?;
            if left == 0 || began.elapsed() >= budget {
                return Ok(left);
            }
        }
    }

    /// Removes everything.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        let inside = self.enter(py)?;
        py.detach(|| inside.clear()).or_raise()
    }

    /// Closes the store and frees its memory, or syncs its file and lets go of it; closing again does nothing.
    ///
    /// Operations that other threads are in the middle of end as usual; all later ones raise ClosedError. Then the file
    /// can be opened again at once, by whoever likes. But pins stay valid: until the last of them is gone, the memory
    /// stays in use, and the file locked. What fails in closing is not told: sync() tells.
    ///
    /// >>> import nyala, os, tempfile
    /// >>> path = os.path.join(tempfile.mkdtemp(), "store.nyala")
    /// >>> store = nyala.Store(path)
    /// >>> store["k"] = b"v"
    /// >>> store.close()
    /// >>> with nyala.Store(path) as again:
    /// ...     again["k"]
    /// b'v'
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.open.close());
    }

    /// Answers when every write that was acknowledged before would survive a power cut; at once for a store in memory,
    /// which has nothing to keep.
    ///
    /// Other threads run meanwhile, and those that wait at the same time share one sync. IoError: it failed, and nobody
    /// knows what is durable; from then on changes and syncs raise PoisonedError until the store is opened again.
    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        let inside = self.enter(py)?;
        py.detach(|| inside.sync()).or_raise()
    }

    /// The absolute path of the file, or None for a store in memory; also when the store is closed. Bytes that are no
    /// UTF-8 come as os.fsdecode has them.
    #[getter]
    fn path(&self) -> Option<&OsStr> {
        self.file.as_ref().map(|file| file.path.as_os_str())
    }

    /// Whether the store is closed.
    #[getter]
    fn closed(&self) -> bool {
        self.open.is_closed()
    }

    /// Changes the cap, to between a quarter of the `max_bytes` that the store was opened with and four times as much,
    /// and at least 1 MiB; that of a file to between a quarter and what it was opened with, and at least 4 MiB.
    ///
    /// A smaller cap holds when this returns: memory was given back to the system, and a cache has evicted what did not
    /// fit. FullError: a store's entries do not fit, or pins are in the way; the cap is what it was. The longest value
    /// stays what it was.
    ///
    /// >>> import nyala
    /// >>> store = nyala.Store(max_bytes=64 << 20)
    /// >>> store.set_max_bytes(256 << 20)
    /// >>> store.max_bytes >> 20
    /// 256
    #[pyo3(signature = (max_bytes, /))]
    fn set_max_bytes(&self, py: Python<'_>, max_bytes: &Bound<'_, PyAny>) -> PyResult<()> {
        let max_bytes = args::max_bytes(max_bytes, nyala::MIN_MAX_BYTES)?;
        let inside = self.enter(py)?;
        py.detach(|| inside.set_max_bytes(max_bytes)).or_raise()
    }

    /// The cap in bytes, on memory or on the file. set_max_bytes changes it.
    #[getter]
    fn max_bytes(&self, py: Python<'_>) -> PyResult<u64> {
        let inside = self.enter(py)?;
        inside.check().or_raise()?;
        Ok(inside.store().max_bytes())
    }

    /// What is in use under the cap, in bytes: keys, values, slack, and in memory the index. Never more than max_bytes.
    #[getter]
    fn used_bytes(&self, py: Python<'_>) -> PyResult<u64> {
        let inside = self.enter(py)?;
        inside.check().or_raise()?;
        Ok(inside.store().used_bytes())
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().enter(slf.py())?.check().or_raise()?;
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) {
        self.close(py);
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.lookup(py, key)?.ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))
    }

    fn __setitem__(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let key = args::key(key)?;
        let value = args::value(value)?;
        let inside = self.enter(py)?;
        inside.change(py, value.len(), |store| store.set(&key, &value)).or_raise()
    }

    fn __delitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.delete(py, key)? { Ok(()) } else { Err(PyKeyError::new_err(key.clone().unbind())) }
    }

    fn __contains__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.contains(py, key)
    }

    /// Number of entries; expired ones count until they are noticed.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        let inside = self.enter(py)?;
        inside.check().or_raise()?;
        Ok(usize::try_from(inside.len())?)
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<Scan> {
        Self::scanning(slf, b"", 0, Gives::Keys)
    }

    fn __richcmp__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        op: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        static EQUAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = slf.py();
        let undecided = py.NotImplemented().into_bound(py);
        if !matches!(op, CompareOp::Eq | CompareOp::Ne) {
            return Ok(undecided);
        }
        let equal = EQUAL.import(py, "nyala._mapping", "equal")?.call1((slf, other))?;
        if equal.is(&undecided) || matches!(op, CompareOp::Eq) {
            return Ok(equal);
        }
        Ok((!equal.is_truthy()?).into_pyobject(py)?.to_owned().into_any())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        // At whatever time the clock answered last: a picture must not fail.
        let Some(inside) = self.open.enter() else {
            return Ok("<nyala.Store, closed>".to_owned());
        };
        if let Err(error) = inside.check() {
            return Ok(format!(
                "<nyala.Store, {}>",
                errors::exception(&error).get_type(py).name()?
            ));
        }
        let place = self.file.as_ref().map(|file| format!(" in {:?}", file.path));
        Ok(format!(
            "<nyala.Store{} of {} entries, {} of {} bytes used>",
            place.unwrap_or_default(),
            inside.len(),
            inside.store().used_bytes(),
            inside.store().max_bytes()
        ))
    }

    /// For pickle: a store in a file is opened again, by its absolute path and with the same options.
    fn __getnewargs_ex__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let Some(file) = &self.file else {
            return Err(PyTypeError::new_err(
                "cannot pickle or copy a 'nyala.Store' in memory: it is this process's memory",
            ));
        };
        let named = PyDict::new(py);
        if let Some(max_bytes) = file.max_bytes {
            named.set_item("max_bytes", max_bytes)?;
        }
        match file.durability {
            Durability::Interval(interval) => {
                named.set_item("durability", "interval")?;
                named.set_item("sync_interval", interval.as_secs_f64())?;
            }
            Durability::Sync => named.set_item("durability", "sync")?,
            _ => {}
        }
        if file.eviction == Eviction::Adaptive {
            named.set_item("eviction", "adaptive")?;
        }
        if let Some(count) = file.count_reads {
            named.set_item("count_reads", count)?;
        }
        if let Some(listener) = &self.listener {
            named.set_item("on_removal", listener.callable())?;
        }
        if let Some(clock) = &self.clock {
            named.set_item("clock", clock.callable())?;
        }
        Ok((PyTuple::new(py, [file.path.as_os_str()])?, named))
    }

    /// A view of the keys.
    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        class(&CLASS, slf.py(), "nyala._mapping", "KeysView")?.call1((slf,))
    }

    /// A view of the values.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        class(&CLASS, slf.py(), "nyala._mapping", "ValuesView")?.call1((slf,))
    }

    /// A view of the keys and values, as pairs.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        class(&CLASS, slf.py(), "nyala._mapping", "ItemsView")?.call1((slf,))
    }

    /// Removes a key and answers its value; if it is not there, `default`, or KeyError without one.
    #[pyo3(signature = (key, /, *default))]
    fn pop<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        default: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if default.len() > 1 {
            return Err(PyTypeError::new_err(format!(
                "pop expected at most 2 arguments, got {}",
                1 + default.len()
            )));
        }
        match self.take(py, key)? {
            Some(value) => Ok(value.into_any()),
            None if default.is_empty() => Err(PyKeyError::new_err(key.clone().unbind())),
            None => default.get_item(0),
        }
    }

    /// Removes some entry and answers it as ``(key, value)``; KeyError if the store is empty. No two callers get the
    /// same one.
    fn popitem<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        loop {
            let inside = self.enter(py)?;
            let Some(key) = inside.candidate().or_raise()? else {
                return Err(PyKeyError::new_err("popitem(): store is empty"));
            };
            if let Some(value) = inside.change(py, 0, |store| store.take(&key)).or_raise()? {
                return Ok((new_bytes(py, &key)?, new_bytes(py, &value)?));
            }
        }
    }

    /// The value of a key; if it is not there, stores `default` and answers that. Atomic: all callers get one value.
    #[pyo3(signature = (key, default, /))]
    fn setdefault<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        default: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let key = args::key(key)?;
        let value = args::value(default)?;
        let inside = self.enter(py)?;
        // Most callers find it there, and reading is cheaper than a refused write.
        if let Some((present, _)) = read::value(py, &inside, key.as_ref())? {
            return Ok(present);
        }
        let options = SetOptions::new().if_absent().return_previous();
        let outcome = inside
            .change(py, value.len(), |store| store.set_with(&key, &value, options))
            .or_raise()?;
        match outcome.previous {
            Some(present) if !outcome.stored => new_bytes(py, &present),
            _ => match default.cast_exact::<PyBytes>() {
                Ok(same) => Ok(same.clone()),
                Err(_) => new_bytes(py, value.as_ref()),
            },
        }
    }

    /// Stores the items of a mapping or of an iterable of pairs, and those given by name. As set_many.
    #[pyo3(signature = (other=Given::NOTHING, /, **named), text_signature = "($self, other=(), /, **named)")]
    fn update(&self, other: Given<'_>, named: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        if let Some(other) = &other.0 {
            self.store_many(other)?;
        }
        if let Some(named) = named {
            self.store_many(named)?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // No __clear__: a store gets its listener and its clock when it is made, so that some other object of a cycle
        // was changed later to close it, and can be cleared.
        if let Some(listener) = &self.listener {
            visit.call(listener.callable())?;
        }
        self.clock.as_ref().map_or(Ok(()), |clock| visit.call(clock.callable()))
    }
}
