//! What only stores in files can do, and whole files: copied, checked, and what can be saved of a damaged one.

use std::ops::ControlFlow;

use nyala::{FileReport, Progress};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::args;
use crate::errors::OrRaise;
use crate::store::{Store, class};

/// Does something long detached from the interpreter. `work` tells what it is given how far it has come: there Ctrl-C is
/// noticed, the caller's callable called, and what either raises ends the work.
pub(crate) fn watched<T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&mut dyn FnMut(Progress) -> ControlFlow<()>) -> nyala::Result<T> + Send,
) -> PyResult<T> {
    let mut raised = None;
    let done = py.detach(|| {
        work(&mut |now| {
            let told = Python::attach(|py| {
                py.check_signals()?;
                match &progress {
                    Some(progress) => progress.call1(py, (now.done, now.total)).map(drop),
                    None => Ok(()),
                }
            });
            raised = told.err();
            if raised.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    raised.map_or_else(|| done.or_raise(), Err)
}

/// Who is told of progress.
pub(crate) fn listener(progress: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Py<PyAny>>> {
    progress.map(|progress| args::callable(progress, "progress")).transpose()
}

fn tuple<'py>(py: Python<'py>, report: &FileReport) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let fields = (report.entries, report.live_bytes, report.dead_bytes, report.file_bytes);
    class(&CLASS, py, "nyala._types", "FileReport")?.call1(fields)
}

/// Checks every record of a file that nobody has open for writing, and tells what it holds (FileReport). Changes nothing.
///
/// CorruptError names the first place that is not what was written; LockedError: somebody writes to the file; IoError: it
/// is not there. Reads all of it into an index in memory, 1 to 2 microseconds an entry, with the interpreter released.
/// `progress` is called in this thread as ``progress(done, total)``, in bytes, before the work begins and every 50
/// milliseconds; what it raises, and Ctrl-C, ends the work.
///
/// >>> import nyala, os, tempfile
/// >>> path = os.path.join(tempfile.mkdtemp(), "store.nyala")
/// >>> with nyala.Store(path) as store:
/// ...     store["k"] = b"v"
/// >>> nyala.verify(path).entries
/// 1
#[pyfunction]
#[pyo3(signature = (path, /, *, progress=None))]
pub(crate) fn verify<'py>(
    py: Python<'py>,
    path: &Bound<'py, PyAny>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let path = args::path(path, "path")?;
    let report = watched(py, listener(progress)?, |tell| nyala::verify_with(path, tell))?;
    tuple(py, &report)
}

/// Copies what is whole of the damaged file `source` to the new file `target`, and tells what that holds (FileReport).
/// Changes nothing in the damaged one.
///
/// Where a later record of a key is lost, an older value may come back, and what was deleted too: for when there is no
/// backup. CorruptError: nothing can be read, because both main headers are lost; IoError: there is something at
/// `target` already. `progress` as for verify; if it ends the work, nothing is left of the copy.
#[pyfunction]
#[pyo3(signature = (source, target, /, *, progress=None))]
pub(crate) fn salvage<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    target: &Bound<'py, PyAny>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (source, target) = (args::path(source, "source")?, args::path(target, "target")?);
    let progress = listener(progress)?;
    let report = watched(py, progress, |tell| nyala::salvage_with(source, target, tell))?;
    tuple(py, &report)
}

#[pymethods]
impl Store {
    /// Answers when every write that was acknowledged before would survive a power cut; at once for a store in memory,
    /// which has nothing to keep.
    ///
    /// Other threads run meanwhile, and those that wait at the same time share one sync. IoError: it failed, and nobody
    /// knows what is durable; from then on changes and syncs raise PoisonedError until the store is opened again.
    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        let inside = self.enter(py)?;
        py.detach(|| inside.sync()).or_raise()
    }

    /// Writes a copy of the store, in memory or in a file, to a new file while it is in use, and tells what that holds
    /// (FileReport): each entry as it is at some moment of the call, with its lifetime.
    ///
    /// Nothing is at `path` until the copy is whole, checked and durable, and nothing that is there is replaced (IoError).
    /// It can be opened with the arguments that the store was opened with. Other threads run meanwhile. `progress` as for
    /// verify; if it ends the work, nothing is left of the copy.
    ///
    /// >>> import nyala, os, tempfile
    /// >>> store = nyala.Store(max_bytes=64 << 20)
    /// >>> store["k"] = b"v"
    /// >>> path = os.path.join(tempfile.mkdtemp(), "copy.nyala")
    /// >>> store.backup(path).entries
    /// 1
    /// >>> with nyala.Store(path, read_only=True) as copy:
    /// ...     copy["k"]
    /// b'v'
    #[pyo3(signature = (path, /, *, progress=None))]
    fn backup<'py>(
        &self,
        py: Python<'py>,
        path: &Bound<'py, PyAny>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (path, progress) = (args::path(path, "path")?, listener(progress)?);
        let inside = self.enter(py)?;
        let report = watched(py, progress, |tell| inside.backup_with(path, tell))?;
        drop(inside);
        tuple(py, &report)
    }
}
