//! How a store is opened, closed and pickled.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nyala::{Durability, Eviction, Options};
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::args::{self, Given};
use crate::clock::InjectedClock;
use crate::errors::OrRaise;
use crate::files;
use crate::handle::Handle;
use crate::open::Open;
use crate::removal::Listener;
use crate::store::Store;

/// What a store in a file was opened with.
pub(crate) struct FileOptions {
    /// Absolute.
    pub(crate) path: PathBuf,
    /// `None`: the core's default.
    max_bytes: Option<u64>,
    durability: Durability,
    read_only: bool,
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
            let _ = Python::try_attach(|py| py.detach(|| drop(self.open.close())));
        }
    }
}

#[pymethods]
impl Store {
    #[new]
    #[pyo3(
        signature = (path=None, *, max_bytes=None, durability=Given::NOTHING, sync_interval=None, read_only=false, eviction=None, on_removal=None, count_reads=None, clock=None, progress=None),
        text_signature = "(path=None, *, max_bytes=None, durability='process', sync_interval=None, read_only=False, eviction=None, on_removal=None, count_reads=None, clock=None, progress=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the signature that Python sees")]
    fn new(
        py: Python<'_>,
        path: Option<&Bound<'_, PyAny>>,
        max_bytes: Option<&Bound<'_, PyAny>>,
        durability: Given<'_>,
        sync_interval: Option<&Bound<'_, PyAny>>,
        read_only: bool,
        eviction: Option<&Bound<'_, PyAny>>,
        on_removal: Option<&Bound<'_, PyAny>>,
        count_reads: Option<bool>,
        clock: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let path = path.map(|path| args::path(path, "path")).transpose()?;
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
        if read_only {
            options = options.read_only();
        }
        let progress = files::listener(progress)?;
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
        let store = match (&path, &progress) {
            (None, None) => py.detach(|| nyala::Store::open(options)).or_raise()?,
            // Of a file all is read: Ctrl-C is noticed.
            _ => files::watched(py, progress, |tell| nyala::Store::open_with(options, tell))?,
        };
        let file = absolute.map(|path| FileOptions {
            path,
            max_bytes,
            durability,
            read_only,
            eviction,
            count_reads,
        });
        Ok(Store { open: Handle::new(Open::new(store, file.is_some())), file, listener, clock })
    }

    /// Closes the store and frees its memory, or syncs its file and lets go of it; closing again does nothing.
    ///
    /// Operations that other threads are in the middle of end as usual; all later ones raise ClosedError. Then the file
    /// can be opened again at once, by whoever likes. But pins stay valid: until the last of them is gone, the memory
    /// stays in use, and the file locked.
    ///
    /// IoError and PoisonedError: what was written since the last good sync of the file may not survive a power cut; the
    /// store is closed all the same. Nobody is told where another thread was in the middle of an operation, which closes
    /// the store then.
    ///
    /// >>> import nyala, os, tempfile
    /// >>> path = os.path.join(tempfile.mkdtemp(), "store.nyala")
    /// >>> store = nyala.Store(path)
    /// >>> store["k"] = b"v"
    /// >>> store.close()
    /// >>> with nyala.Store(path) as again:
    /// ...     again["k"]
    /// b'v'
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.open.close().map_or(Ok(()), Open::close)).or_raise()
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

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().enter(slf.py())?.check().or_raise()?;
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
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
        if file.read_only {
            named.set_item("read_only", true)?;
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

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // No __clear__: a store gets its listener and its clock when it is made, so that some other object of a cycle
        // was changed later to close it, and can be cleared.
        if let Some(listener) = &self.listener {
            visit.call(listener.callable())?;
        }
        self.clock.as_ref().map_or(Ok(()), |clock| visit.call(clock.callable()))
    }
}
